package flownexus.fleet;

import java.util.Map;
import java.util.TreeMap;

import org.eclipse.leshan.client.resource.LwM2mInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectEnabler;
import org.eclipse.leshan.client.resource.TransactionalObjectListener;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.DeleteResponse;

/** An object whose instances are built in, as sensors are: none can be created or deleted. */
final class FixedObject extends ObjectEnabler {

    private FixedObject(ObjectModel model, Map<Integer, LwM2mInstanceEnabler> instances) {
        super(model.id, model, instances, (objectModel, id, used) -> {
            throw new IllegalStateException("instances of object " + model.id + " are built in");
        }, ContentFormat.DEFAULT);
    }

    /** @param enablers instance 0, 1, ... */
    static FixedObject of(ObjectModel model, LwM2mInstanceEnabler... enablers) {
        Map<Integer, LwM2mInstanceEnabler> instances = new TreeMap<>();
        for (LwM2mInstanceEnabler instance : enablers) {
            instance.setId(instances.size());
            instance.setModel(model);
            instances.put(instance.getId(), instance);
        }
        return new FixedObject(model, instances);
    }

    @Override
    protected TransactionalObjectListener createTransactionListener() {
        return new PromptListener(this);
    }

    @Override
    protected CreateResponse doCreate(LwM2mServer server, CreateRequest request) {
        return CreateResponse.methodNotAllowed();
    }

    @Override
    protected DeleteResponse doDelete(LwM2mServer server, DeleteRequest request) {
        return DeleteResponse.methodNotAllowed();
    }
}
