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
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** An object instance described resource by resource. What is not described answers 4.04. */
abstract class SimulatedInstance extends BaseInstanceEnabler {

    private final Map<Integer, Supplier<ReadResponse>> readable = new TreeMap<>();
    private final Map<Integer, Function<LwM2mResource, WriteResponse>> writable = new TreeMap<>();
    private final Map<Integer, Supplier<ExecuteResponse>> executable = new TreeMap<>();
    private final Counters counters;

    SimulatedInstance(int id, Counters counters) {
        super(id);
        this.counters = counters;
    }

    final void reads(int resource, Supplier<ReadResponse> reader) {
        readable.put(resource, reader);
    }

    final void writes(int resource, Function<LwM2mResource, WriteResponse> writer) {
        writable.put(resource, writer);
    }

    final void executes(int resource, Supplier<ExecuteResponse> action) {
        executable.put(resource, action);
    }

    /** Tells the observers. Not to be called from a read, write or execute: Leshan holds locks there. */
    final void changed(int... resources) {
        LwM2mPath[] paths = getResourcePaths(resources);
        fireResourcesChange(paths);
    }

    @Override
    public ReadResponse read(LwM2mServer server, int resource) {
        Supplier<ReadResponse> reader = readable.get(resource);
        return reader == null ? super.read(server, resource) : reader.get();
    }

    @Override
    public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
        Function<LwM2mResource, WriteResponse> writer = writable.get(resource);
        if (writer == null) {
            return super.write(server, replace, resource, value);
        }
        WriteResponse response = writer.apply(value);
        if (response.isSuccess()) {
            counters.writes.incrementAndGet();
        }
        return response;
    }

    @Override
    public ExecuteResponse execute(LwM2mServer server, int resource, Arguments arguments) {
        Supplier<ExecuteResponse> action = executable.get(resource);
        if (action == null) {
            return super.execute(server, resource, arguments);
        }
        ExecuteResponse response = action.get();
        if (response.isSuccess()) {
            counters.executes.incrementAndGet();
        }
        return response;
    }

    @Override
    public List<Integer> getAvailableResourceIds(ObjectModel objectModel) {
        TreeSet<Integer> ids = new TreeSet<>(readable.keySet());
        ids.addAll(writable.keySet());
        ids.addAll(executable.keySet());
        return List.copyOf(ids);
    }
}
