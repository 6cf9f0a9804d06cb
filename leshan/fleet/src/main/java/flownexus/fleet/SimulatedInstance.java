package flownexus.fleet;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.Supplier;

import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** An object instance described resource by resource. What is not described answers 4.04. */
abstract class SimulatedInstance extends BaseInstanceEnabler {

    /** Takes a value. */
    interface Writer {
        /** @param replace false: of a multi-instance resource, only the given instances change */
        WriteResponse write(boolean replace, LwM2mResource value);
    }

    private final Map<Integer, Supplier<ReadResponse>> readable = new TreeMap<>();
    private final Map<Integer, Writer> writable = new TreeMap<>();
    private final Map<Integer, Function<Arguments, ExecuteResponse>> executable = new TreeMap<>();
    private final Counters counters;

    SimulatedInstance(int id, Counters counters) {
        super(id);
        this.counters = counters;
    }

    final void reads(int resource, Supplier<ReadResponse> reader) {
        readable.put(resource, reader);
    }

    final void writes(int resource, Function<LwM2mResource, WriteResponse> writer) {
        writable.put(resource, (replace, value) -> writer.apply(value));
    }

    final void writes(int resource, Writer writer) {
        writable.put(resource, writer);
    }

    final void executes(int resource, Supplier<ExecuteResponse> action) {
        executable.put(resource, arguments -> action.get());
    }

    final void executes(int resource, Function<Arguments, ExecuteResponse> action) {
        executable.put(resource, action);
    }

    /** Tells the observers. Not to be called from a read, write or execute: Leshan holds locks there. */
    final void changed(int... resources) {
        if (resources.length > 0) {
            fireResourcesChange(getResourcePaths(resources));
        }
    }

    @Override
    public ReadResponse read(LwM2mServer server, int resource) {
        Supplier<ReadResponse> reader = readable.get(resource);
        return reader == null ? super.read(server, resource) : reader.get();
    }

    /** Unlike Leshan's own, says when a resource refused its value; those before it have theirs. */
    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, LwM2mObjectInstance value) {
        for (LwM2mResource resource : value.getResources().values()) {
            WriteResponse response = write(server, replace, resource.getId(), resource);
            if (response.isFailure()) {
                return response;
            }
        }
        if (replace) {
            for (ResourceModel resource : getModel().resources.values()) {
                if (resource.operations.isWritable() && value.getResource(resource.id) == null) {
                    reset(resource.id);
                }
            }
        }
        return WriteResponse.success();
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
        Writer writer = writable.get(resource);
        if (writer == null) {
            return super.write(server, replace, resource, value);
        }
        WriteResponse response = writer.write(replace, value);
        if (response.isSuccess()) {
            counters.writes.incrementAndGet();
            counters.operations.written(getResourcePath(resource).toString(), value);
        }
        return response;
    }

    @Override
    public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        Function<Arguments, ExecuteResponse> action = executable.get(resource);
        if (action == null) {
            return super.execute(server, resource, arguments);
        }
        ExecuteResponse response = action.apply(arguments);
        if (response.isSuccess()) {
            counters.executes.incrementAndGet();
            counters.operations.executed(getResourcePath(resource).toString(), text(arguments));
        }
        return response;
    }

    /** As in the request; "" for none. */
    static String text(Arguments arguments) {
        return arguments == null || arguments.isEmpty() ? "" : arguments.serialize();
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel objectModel) {
        TreeSet<Integer> ids = new TreeSet<>(readable.keySet());
        ids.addAll(writable.keySet());
        ids.addAll(executable.keySet());
        return List.copyOf(ids);
    }
}
