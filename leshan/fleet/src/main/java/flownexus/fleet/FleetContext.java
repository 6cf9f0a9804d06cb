package flownexus.fleet;

import flownexus.models.ObjectModels;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.codec.LwM2mDecoder;
import org.eclipse.leshan.core.node.codec.LwM2mEncoder;

/**
 * What all devices of a fleet share. Nothing here keeps state of a device; the test model and the file of log lines are
 * null unless wanted.
 */
record FleetContext(SharedThreads threads, Configuration configuration, ObjectModels models, ObjectModel testModel,
        LwM2mEncoder encoder, LwM2mDecoder decoder, LogFile logFile) {
}
