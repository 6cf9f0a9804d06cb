package flownexus.leshan.coap;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;

import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mRoot;
import org.eclipse.leshan.core.node.LwM2mSingleResource;

/** Puts values together to the node that was asked for. */
final class NodeTree {

    private NodeTree() {
    }

    /**
     * The node at a path.
     *
     * @param leaves values at or below the path, each path once; for a path above the resources there may be none
     * @throws IllegalArgumentException if they do not fit together
     */
    static LwM2mNode of(LwM2mPath path, List<Leaf> leaves) {
        if (path.isRoot()) {
            List<LwM2mObject> objects = new ArrayList<>();
            grouped(leaves, LwM2mPath::getObjectId).forEach((id, each) -> objects.add(object(id, each)));
            return new LwM2mRoot(objects);
        }
        if (path.isObject()) {
            return object(path.getObjectId(), leaves);
        }
        if (path.isObjectInstance()) {
            return instance(path.getObjectInstanceId(), leaves);
        }
        if (path.isResource()) {
            return resource(path.getResourceId(), leaves);
        }
        Leaf only = leaves.get(0);
        return LwM2mResourceInstance.newInstance(path.getResourceInstanceId(), only.value(), only.type());
    }

    private static LwM2mObject object(int id, List<Leaf> leaves) {
        List<LwM2mObjectInstance> instances = new ArrayList<>();
        grouped(leaves, LwM2mPath::getObjectInstanceId).forEach((each, below) -> instances.add(instance(each, below)));
        return new LwM2mObject(id, instances);
    }

    private static LwM2mObjectInstance instance(int id, List<Leaf> leaves) {
        List<LwM2mResource> resources = new ArrayList<>();
        grouped(leaves, LwM2mPath::getResourceId).forEach((each, below) -> resources.add(resource(each, below)));
        return new LwM2mObjectInstance(id, resources);
    }

    private static LwM2mResource resource(int id, List<Leaf> leaves) {
        if (leaves.isEmpty()) {
            throw new UnfitException("there is no value");
        }
        Leaf first = leaves.get(0);
        if (leaves.size() == 1 && first.path().isResource()) {
            return first.value() == null ? new LwM2mMultipleResource(id, first.type(), List.of())
                    : LwM2mSingleResource.newResource(id, first.value(), first.type());
        }
        List<LwM2mResourceInstance> instances = new ArrayList<>();
        for (Leaf leaf : leaves) {
            if (!leaf.path().isResourceInstance() || leaf.type() != first.type()) {
                throw new UnfitException("its values do not fit together");
            }
            instances.add(LwM2mResourceInstance.newInstance(leaf.path().getResourceInstanceId(), leaf.value(), leaf.type()));
        }
        return new LwM2mMultipleResource(id, first.type(), instances);
    }

    private static Map<Integer, List<Leaf>> grouped(List<Leaf> leaves, Function<LwM2mPath, Integer> id) {
        Map<Integer, List<Leaf>> groups = new TreeMap<>();
        leaves.forEach(leaf -> groups.computeIfAbsent(id.apply(leaf.path()), each -> new ArrayList<>()).add(leaf));
        return groups;
    }
}
