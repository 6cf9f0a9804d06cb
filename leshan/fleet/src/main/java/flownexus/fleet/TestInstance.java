package flownexus.fleet;

import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Date;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.Executor;

import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.core.util.datatype.ULong;

/** An instance of the test object (33000): what its model makes writable keeps what is written. */
final class TestInstance extends SimulatedInstance {

    private static final int PERCENTAGE = 20;
    private static final int ENUMERATION = 21;
    private static final int CONSTANT = 23;
    private static final int RECORD = 30;
    private static final int LAST_ARGUMENTS = 31;
    private static final int EXECUTIONS = 32;
    private static final int RESET = 33;
    private static final int REFUSE = 34;

    private static final Instant TIME = Instant.parse("2026-01-01T00:00:00Z");

    private final Executor later;
    private final Map<Integer, LwM2mResource> values = new TreeMap<>();
    private String arguments = "";
    private long executions;

    /** @param later runs what must not run while Leshan holds the object's lock */
    TestInstance(int id, ObjectModel model, Counters counters, Executor later) {
        super(id, counters);
        this.later = later;
        setModel(model);
        for (ResourceModel resource : model.resources.values()) {
            int number = resource.id;
            if (resource.operations.isWritable()) {
                values.put(number, first(resource));
                if (resource.operations.isReadable()) {
                    reads(number, () -> ReadResponse.success(value(number)));
                }
                writes(number, (replace, value) -> take(resource, replace, value));
            }
        }
        reads(CONSTANT, () -> ReadResponse.success(CONSTANT, "constant"));
        reads(LAST_ARGUMENTS, () -> ReadResponse.success(LAST_ARGUMENTS, arguments()));
        reads(EXECUTIONS, () -> ReadResponse.success(EXECUTIONS, executions()));
        executes(RECORD, given -> {
            record(text(given));
            later.execute(() -> changed(LAST_ARGUMENTS, EXECUTIONS));
            return ExecuteResponse.success();
        });
        executes(RESET, () -> {
            values.keySet().forEach(this::reset);
            return ExecuteResponse.success();
        });
        executes(REFUSE, () -> ExecuteResponse.badRequest("this resource always refuses"));
    }

    /** What is wrong with a value, or null. */
    static String error(ObjectModel model, LwM2mResource value) {
        ResourceModel resource = model.resources.get(value.getId());
        if (resource == null) {
            return "there is no resource " + value.getId();
        }
        if (resource.multiple != value.isMultiInstances()) {
            return "resource " + value.getId() + " has " + (resource.multiple ? "instances" : "no instances");
        }
        if (resource.type != value.getType()) {
            return "resource " + value.getId() + " is of type " + resource.type + ", not " + value.getType();
        }
        int most = value.getId() == PERCENTAGE ? 100 : value.getId() == ENUMERATION ? 2 : -1;
        if (most >= 0 && ((long) value.getValue() < 0 || (long) value.getValue() > most)) {
            return "0 to " + most + " is expected";
        }
        return null;
    }

    private WriteResponse take(ResourceModel resource, boolean replace, LwM2mResource value) {
        String error = error(getModel(), value);
        if (error != null) {
            return WriteResponse.badRequest(error);
        }
        synchronized (this) {
            LwM2mResource effective = value;
            if (!replace && value instanceof LwM2mMultipleResource update) {
                Map<Integer, LwM2mResourceInstance> merged = new TreeMap<>(
                        ((LwM2mMultipleResource) values.get(resource.id)).getInstances());
                merged.putAll(update.getInstances());
                effective = new LwM2mMultipleResource(resource.id, resource.type, merged.values());
            }
            values.put(resource.id, effective);
        }
        later.execute(() -> changed(resource.id));
        return WriteResponse.success();
    }

    @Override
    public void reset(int resource) {
        synchronized (this) {
            if (!values.containsKey(resource)) {
                return;
            }
            values.put(resource, first(getModel().resources.get(resource)));
        }
        later.execute(() -> changed(resource));
    }

    private static LwM2mResource first(ResourceModel resource) {
        if (resource.multiple) {
            return LwM2mMultipleResource.newResource(resource.id,
                    Map.of(0, first(resource.type, 0), 1, first(resource.type, 1)), resource.type);
        }
        return LwM2mSingleResource.newResource(resource.id, first(resource.type, 0), resource.type);
    }

    private static Object first(Type type, int number) {
        return switch (type) {
        case STRING -> number == 0 ? "text" : "more text";
        case INTEGER -> (long) number;
        case UNSIGNED_INTEGER -> ULong.valueOf((long) number);
        case FLOAT -> number + 0.5;
        case BOOLEAN -> number == 0;
        case OPAQUE -> ("bytes " + number).getBytes(StandardCharsets.US_ASCII);
        case TIME -> Date.from(TIME.plusSeconds(number));
        case OBJLNK -> new ObjectLink(3 + number, 0);
        case CORELINK -> new Link[] { new Link("/3/0") };
        case NONE -> throw new IllegalArgumentException("only resources with a value are writable");
        };
    }

    private synchronized LwM2mResource value(int resource) {
        return values.get(resource);
    }

    private synchronized void record(String given) {
        arguments = given;
        executions++;
    }

    private synchronized String arguments() {
        return arguments;
    }

    private synchronized long executions() {
        return executions;
    }
}
