package flownexus.fleet;

import java.util.function.Function;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** LwM2M Server (1, version 1.1). */
final class ServerInstance extends SimulatedInstance {

    /** What the object can ask the device to do. Called while Leshan holds the object's lock: must not block. */
    interface Actions {
        void update();

        /** Send is allowed from now on. */
        void unmuted();

        /** Runs without locks. */
        void later(Runnable task);
    }

    static final int LIFETIME = 1;
    private static final int MUTE_SEND = 23;
    private static final int MIN_PERIOD = 2;
    private static final int MAX_PERIOD = 3;
    private static final int STORING = 6;
    /** The specification's bound of an Integer that the server keeps as 32 bits. */
    private static final long LONGEST = Integer.MAX_VALUE;

    private final long factoryLifetime;
    private final Actions actions;
    private long lifetime;
    private long minPeriod;
    private long maxPeriod;
    private boolean storing;
    private boolean muted;

    ServerInstance(int shortServerId, long lifetime, Counters counters, Actions actions) {
        super(0, counters);
        this.factoryLifetime = lifetime;
        this.lifetime = lifetime;
        this.actions = actions;
        reads(0, () -> ReadResponse.success(0, shortServerId));
        reads(LIFETIME, () -> ReadResponse.success(LIFETIME, lifetime()));
        writes(LIFETIME, integer(1, LIFETIME, value -> this.lifetime = value));
        reads(MIN_PERIOD, () -> ReadResponse.success(MIN_PERIOD, minPeriod()));
        writes(MIN_PERIOD, integer(0, MIN_PERIOD, value -> minPeriod = value));
        reads(MAX_PERIOD, () -> ReadResponse.success(MAX_PERIOD, maxPeriod()));
        writes(MAX_PERIOD, integer(0, MAX_PERIOD, value -> maxPeriod = value));
        reads(STORING, () -> ReadResponse.success(STORING, storing()));
        writes(STORING, flag(value -> {
            setStoring(value);
            actions.later(() -> changed(STORING));
        }));
        reads(7, () -> ReadResponse.success(7, "U"));
        executes(8, () -> {
            actions.update();
            return ExecuteResponse.success();
        });
        reads(22, () -> ReadResponse.success(22, "U"));
        reads(MUTE_SEND, () -> ReadResponse.success(MUTE_SEND, isMuted()));
        writes(MUTE_SEND, flag(value -> {
            setMuted(value);
            actions.later(() -> changed(MUTE_SEND));
            if (!value) {
                actions.unmuted();
            }
        }));
    }

    private interface Setter {
        void set(long value);
    }

    private interface FlagSetter {
        void set(boolean value);
    }

    private Function<LwM2mResource, WriteResponse> integer(long least, int resource, Setter setter) {
        return node -> {
            if (node.getType() != Type.INTEGER || (long) node.getValue() < least
                    || (long) node.getValue() > LONGEST) {
                return WriteResponse.badRequest("seconds from " + least + " to " + LONGEST + " are expected");
            }
            synchronized (this) {
                setter.set((long) node.getValue());
            }
            actions.later(() -> changed(resource));
            return WriteResponse.success();
        };
    }

    private static Function<LwM2mResource, WriteResponse> flag(FlagSetter setter) {
        return node -> {
            if (node.getType() != Type.BOOLEAN) {
                return WriteResponse.badRequest("true or false is expected");
            }
            setter.set((boolean) node.getValue());
            return WriteResponse.success();
        };
    }

    /** In seconds. */
    synchronized long lifetime() {
        return lifetime;
    }

    /** Whether the server wants no Send. */
    synchronized boolean isMuted() {
        return muted;
    }

    private synchronized void setMuted(boolean newMuted) {
        muted = newMuted;
    }

    private synchronized long minPeriod() {
        return minPeriod;
    }

    private synchronized long maxPeriod() {
        return maxPeriod;
    }

    private synchronized boolean storing() {
        return storing;
    }

    private synchronized void setStoring(boolean newStoring) {
        storing = newStoring;
    }

    synchronized void factorySettings() {
        lifetime = factoryLifetime;
        minPeriod = 0;
        maxPeriod = 0;
        storing = false;
        muted = false;
    }
}
