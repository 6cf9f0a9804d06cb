package flownexus.leshan.coap;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mPath;

/**
 * One value.
 *
 * @param path of a resource or a resource instance
 * @param value of the class that Leshan has for the type; null stands for a multiple resource without instances
 */
record Leaf(LwM2mPath path, Type type, Object value) {
}
