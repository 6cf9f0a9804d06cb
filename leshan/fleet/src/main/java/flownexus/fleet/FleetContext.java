package flownexus.fleet;

import flownexus.models.ObjectModels;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.leshan.core.node.codec.LwM2mDecoder;
import org.eclipse.leshan.core.node.codec.LwM2mEncoder;

/** What all devices of a fleet share. Nothing here keeps state of a device. */
record FleetContext(SharedThreads threads, Configuration configuration, ObjectModels models, LwM2mEncoder encoder,
        LwM2mDecoder decoder) {
}
