package flownexus.fleet;

import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;

import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** Event Log (20, version 1.0) as docs/device-logs.md wants it, with the log level as a resource of its own. */
final class LogInstance extends SimulatedInstance {

    static final int OBJECT = 20;
    static final int LOG_DATA = 4014;
    private static final int LOG_CLASS = 4010;
    private static final int LOG_START = 4011;
    private static final int LOG_STOP = 4012;
    private static final int LOG_STATUS = 4013;
    private static final int LOG_DATA_FORMAT = 4015;
    /** From the range that the object leaves to vendors. */
    static final int LOG_LEVEL = 26_241;

    private static final long FORMAT = 100;
    private static final long MAX_CLASS = 255;
    private static final long MAX_LEVEL = 4;
    private static final int DATA_AVAILABLE = 2;
    private static final int STOPPED = 1;

    private long logClass;

    /**
     * @param muted whether the device may not Send: then what a read gave is forgotten at the next one
     * @param later runs what must not run while Leshan holds the object's lock
     */
    LogInstance(LogRing ring, BooleanSupplier muted, Counters counters, Executor later) {
        super(0, counters);
        reads(LOG_CLASS, () -> ReadResponse.success(LOG_CLASS, logClass()));
        writes(LOG_CLASS, value -> {
            if (!(value.getValue() instanceof Long wanted) || wanted < 0 || wanted > MAX_CLASS) {
                return WriteResponse.badRequest("0 to 255 is expected");
            }
            setLogClass(wanted);
            later.execute(() -> changed(LOG_CLASS));
            return WriteResponse.success();
        });
        executes(LOG_START, () -> {
            ring.setStopped(false);
            later.execute(() -> changed(LOG_STATUS));
            return ExecuteResponse.success();
        });
        executes(LOG_STOP, () -> {
            ring.setStopped(true);
            later.execute(() -> changed(LOG_STATUS));
            return ExecuteResponse.success();
        });
        reads(LOG_STATUS, () -> ReadResponse.success(LOG_STATUS,
                (long) (ring.size() > 0 ? DATA_AVAILABLE : 0) + (ring.isStopped() ? STOPPED : 0)));
        reads(LOG_DATA, () -> ReadResponse.success(LOG_DATA, ring.read(muted.getAsBoolean())));
        reads(LOG_DATA_FORMAT, () -> ReadResponse.success(LOG_DATA_FORMAT, FORMAT));
        writes(LOG_DATA_FORMAT, value -> Long.valueOf(FORMAT).equals(value.getValue()) ? WriteResponse.success()
                : WriteResponse.badRequest("the only format is " + FORMAT));
        reads(LOG_LEVEL, () -> ReadResponse.success(LOG_LEVEL, (long) ring.level()));
        writes(LOG_LEVEL, value -> {
            if (!(value.getValue() instanceof Long wanted) || wanted < 0 || wanted > MAX_LEVEL) {
                return WriteResponse.badRequest("0 to 4 is expected");
            }
            ring.setLevel(wanted.intValue());
            later.execute(() -> changed(LOG_LEVEL));
            return WriteResponse.success();
        });
    }

    private synchronized long logClass() {
        return logClass;
    }

    private synchronized void setLogClass(long wanted) {
        logClass = wanted;
    }
}
