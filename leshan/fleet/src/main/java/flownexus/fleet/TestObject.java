package flownexus.fleet;

import java.io.IOException;
import java.io.InputStream;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;

import org.eclipse.leshan.client.resource.LwM2mInstanceEnabler;
import org.eclipse.leshan.client.resource.LwM2mInstanceEnablerFactory;
import org.eclipse.leshan.client.resource.ObjectEnabler;
import org.eclipse.leshan.client.resource.TransactionalObjectListener;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.InvalidDDFFileException;
import org.eclipse.leshan.core.model.InvalidModelException;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.DeleteResponse;

/** The test object (33000): its instances can be created and deleted, and the registration follows. */
final class TestObject extends ObjectEnabler {

    static final int ID = 33_000;
    private static final String FILE = "/objects/33000.xml";

    private final Counters counters;
    private final Executor later;

    /** @param later runs what must not run while Leshan holds the object's lock */
    TestObject(ObjectModel model, Counters counters, Executor later) {
        super(ID, model, new HashMap<>(Map.of(0, new TestInstance(0, model, counters, later))), new Factory(counters, later),
                ContentFormat.DEFAULT);
        this.counters = counters;
        this.later = later;
    }

    /** The file with the definition comes with the fleet. */
    static ObjectModel model() {
        try (InputStream file = TestObject.class.getResourceAsStream(FILE)) {
            return ObjectLoader.loadDdfFile(file, FILE, true).get(0);
        } catch (IOException | InvalidDDFFileException | InvalidModelException e) {
            throw new IllegalStateException("the test object's definition is of no use: " + e.getMessage(), e);
        }
    }

    private record Factory(Counters counters, Executor later) implements LwM2mInstanceEnablerFactory {
        @Override
        public LwM2mInstanceEnabler create(ObjectModel model, Integer id, Collection<Integer> used) {
            int free = 0;
            while (used.contains(free)) {
                free++;
            }
            return new TestInstance(id == null ? free : id, model, counters, later);
        }
    }

    @Override
    protected TransactionalObjectListener createTransactionListener() {
        return new PromptListener(this);
    }

    @Override
    protected CreateResponse doCreate(LwM2mServer server, CreateRequest request) {
        List<LwM2mObjectInstance> wanted = request.unknownObjectInstanceId()
                ? List.of(new LwM2mObjectInstance(request.getResources()))
                : request.getObjectInstances();
        for (LwM2mObjectInstance instance : wanted) {
            for (LwM2mResource resource : instance.getResources().values()) {
                String error = TestInstance.error(getObjectModel(), resource);
                if (error != null) {
                    return CreateResponse.badRequest(error);
                }
            }
        }
        return super.doCreate(server, request);
    }

    @Override
    protected DeleteResponse doDelete(LwM2mServer server, DeleteRequest request) {
        if (!request.getPath().isObjectInstance()) {
            return DeleteResponse.methodNotAllowed();
        }
        return super.doDelete(server, request);
    }

    @Override
    protected void fireInstancesAdded(int... instanceIds) {
        for (int id : instanceIds) {
            counters.creates.incrementAndGet();
            counters.operations.created(new LwM2mPath(ID, id).toString());
        }
        later.execute(() -> super.fireInstancesAdded(instanceIds));
    }

    @Override
    protected void fireInstancesRemoved(int... instanceIds) {
        for (int id : instanceIds) {
            counters.deletes.incrementAndGet();
            counters.operations.deleted(new LwM2mPath(ID, id).toString());
        }
        later.execute(() -> super.fireInstancesRemoved(instanceIds));
    }
}
