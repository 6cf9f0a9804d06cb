package flownexus.fleet;

import java.time.Duration;
import java.time.Instant;
import java.util.concurrent.Executor;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** Something that can be switched and dimmed: IPSO Light Control (3311, 1.0) or Actuation (3306, 1.1). */
final class ActuatorInstance extends SimulatedInstance {

    static final int COLOUR = 5706;
    static final int MULTI_STATE = 5853;
    private static final int ON_OFF = 5850;
    private static final int DIMMER = 5851;
    private static final int ON_TIME = 5852;
    private static final int APPLICATION = 5750;

    private final Executor later;
    private boolean on;
    private int dimmer = 100;
    private Instant since = Instant.now();
    private Duration before = Duration.ZERO;
    private String state = "";
    private String application = "";

    /**
     * @param stateResource the resource with a text: {@link #COLOUR} or {@link #MULTI_STATE}
     * @param later runs what must not run while Leshan holds the object's lock
     */
    ActuatorInstance(int stateResource, Counters counters, Executor later) {
        super(0, counters);
        this.later = later;
        reads(ON_OFF, () -> ReadResponse.success(ON_OFF, isOn()));
        writes(ON_OFF, node -> {
            if (node.getType() != Type.BOOLEAN) {
                return WriteResponse.badRequest("true or false is expected");
            }
            set((boolean) node.getValue());
            return told(ON_OFF, ON_TIME);
        });
        reads(DIMMER, () -> ReadResponse.success(DIMMER, dimmer()));
        writes(DIMMER, node -> {
            if (node.getType() != Type.INTEGER || (long) node.getValue() < 0 || (long) node.getValue() > 100) {
                return WriteResponse.badRequest("0 to 100 is expected");
            }
            synchronized (this) {
                dimmer = (int) (long) node.getValue();
            }
            return told(DIMMER);
        });
        reads(ON_TIME, () -> ReadResponse.success(ON_TIME, onTime().toSeconds()));
        writes(ON_TIME, node -> {
            if (node.getType() != Type.INTEGER || (long) node.getValue() != 0) {
                return WriteResponse.badRequest("only 0, which resets the counter, can be written");
            }
            synchronized (this) {
                before = Duration.ZERO;
                since = Instant.now();
            }
            return told(ON_TIME);
        });
        reads(stateResource, () -> ReadResponse.success(stateResource, state()));
        writes(stateResource, node -> {
            if (node.getType() != Type.STRING) {
                return WriteResponse.badRequest("a text is expected");
            }
            synchronized (this) {
                state = (String) node.getValue();
            }
            return told(stateResource);
        });
        reads(APPLICATION, () -> ReadResponse.success(APPLICATION, application()));
        writes(APPLICATION, node -> {
            if (node.getType() != Type.STRING) {
                return WriteResponse.badRequest("a text is expected");
            }
            synchronized (this) {
                application = (String) node.getValue();
            }
            return told(APPLICATION);
        });
    }

    private WriteResponse told(int... resources) {
        later.execute(() -> changed(resources));
        return WriteResponse.success();
    }

    private synchronized void set(boolean newOn) {
        if (newOn != on) {
            before = onTime();
            since = Instant.now();
            on = newOn;
        }
    }

    private synchronized Duration onTime() {
        return on ? before.plus(Duration.between(since, Instant.now())) : before;
    }

    /** The resources that change by themselves: the time, while it is on. */
    synchronized int[] age() {
        return on ? new int[] { ON_TIME } : new int[0];
    }

    /** Power was gone: off, and the time is forgotten. */
    synchronized void restarted() {
        on = false;
        before = Duration.ZERO;
    }

    synchronized void factorySettings() {
        restarted();
        dimmer = 100;
        state = "";
        application = "";
    }

    private synchronized boolean isOn() {
        return on;
    }

    private synchronized int dimmer() {
        return dimmer;
    }

    private synchronized String state() {
        return state;
    }

    private synchronized String application() {
        return application;
    }
}
