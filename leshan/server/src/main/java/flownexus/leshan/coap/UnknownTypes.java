package flownexus.leshan.coap;

import java.util.ArrayList;
import java.util.List;

import org.eclipse.californium.core.coap.OptionSet;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ContentFormat;

/** Finds values that came in a format without types and that no model knows. */
final class UnknownTypes {

    private UnknownTypes() {
    }

    /** The paths of such values in a node. */
    static List<LwM2mPath> of(LwM2mPath path, LwM2mNode node, OptionSet options, LwM2mModel model) {
        List<LwM2mPath> unknown = new ArrayList<>();
        if (options.hasContentFormat() && isUntyped(options.getContentFormat())) {
            collect(path, node, model, unknown);
        }
        return unknown;
    }

    private static boolean isUntyped(int contentFormat) {
        return switch (contentFormat) {
        case ContentFormat.TLV_CODE, ContentFormat.OLD_TLV_CODE, ContentFormat.TEXT_CODE, ContentFormat.CBOR_CODE -> true;
        default -> false;
        };
    }

    private static void collect(LwM2mPath path, LwM2mNode node, LwM2mModel model, List<LwM2mPath> unknown) {
        if (node instanceof LwM2mObject object) {
            object.getInstances().forEach((id, each) -> collect(path.append(id), each, model, unknown));
        } else if (node instanceof LwM2mObjectInstance instance) {
            LwM2mPath own = path.isObject() ? path.append(instance.getId()) : path;
            instance.getResources().forEach((id, each) -> collect(own.append(id), each, model, unknown));
        } else if (ValueTypes.of(path, model) == null) {
            if (node instanceof LwM2mResource resource && resource.isMultiInstances()) {
                resource.getInstances().keySet().forEach(id -> unknown.add(path.append(id)));
            } else {
                unknown.add(path);
            }
        }
    }
}
