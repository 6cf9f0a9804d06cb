package flownexus.fleet;

import java.time.DateTimeException;
import java.time.Instant;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.util.Date;
import java.util.Map;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** Device (3, version 1.1). */
final class DeviceInstance extends SimulatedInstance {

    /** What the object can ask the device to do. Called while Leshan holds the object's lock: must not block. */
    interface Actions {
        void reboot();

        void factoryReset();

        void clockSet(Instant time);

        /** Runs without locks. */
        void later(Runnable task);
    }

    private static final String SOFTWARE_VERSION = "1.0.0";
    private static final int MEMORY_TOTAL = 256;
    private static final int INTERNAL_BATTERY = 1;
    private static final int USB = 5;
    private static final int USB_MILLIVOLTS = 5000;

    private static final int NO_ERROR = 0;
    private static final int LOW_BATTERY = 1;

    private final Battery battery;
    private final RandomGenerator random;
    private int memoryFree = 180;
    private int error = NO_ERROR;
    private String utcOffset = "+00:00";
    private String timezone = "UTC";

    DeviceInstance(String serial, boolean mainsPowered, Battery battery, DeviceClock clock, RandomGenerator random,
            Supplier<String> firmwareVersion, Counters counters, Actions actions) {
        super(0, counters);
        this.battery = battery;
        this.random = random;
        reads(0, () -> ReadResponse.success(0, "FlowNexus"));
        reads(1, () -> ReadResponse.success(1, "Simulated Sensor"));
        reads(2, () -> ReadResponse.success(2, serial));
        reads(3, () -> ReadResponse.success(3, firmwareVersion.get()));
        executes(4, () -> {
            counters.reboots.incrementAndGet();
            actions.reboot();
            return ExecuteResponse.success();
        });
        executes(5, () -> {
            counters.factoryResets.incrementAndGet();
            actions.factoryReset();
            return ExecuteResponse.success();
        });
        reads(6, () -> integers(6, mainsPowered ? Map.of(0, (long) INTERNAL_BATTERY, 1, (long) USB)
                : Map.of(0, (long) INTERNAL_BATTERY)));
        reads(7, () -> integers(7, mainsPowered ? Map.of(0, (long) battery.millivolts(), 1, (long) USB_MILLIVOLTS)
                : Map.of(0, (long) battery.millivolts())));
        reads(8, () -> integers(8, mainsPowered ? Map.of(0, 0L, 1, 21L) : Map.of(0, 12L)));
        reads(9, () -> ReadResponse.success(9, battery.level()));
        reads(10, () -> ReadResponse.success(10, memoryFree()));
        reads(11, () -> integers(11, Map.of(0, (long) error())));
        executes(12, () -> {
            clearErrors();
            actions.later(() -> changed(11));
            return ExecuteResponse.success();
        });
        reads(13, () -> ReadResponse.success(13, Date.from(clock.now())));
        writes(13, node -> {
            if (node.getType() != Type.TIME) {
                return WriteResponse.badRequest("a time is expected");
            }
            Instant time = ((Date) node.getValue()).toInstant();
            clock.set(time);
            actions.clockSet(time);
            actions.later(() -> changed(13));
            return WriteResponse.success();
        });
        reads(14, () -> ReadResponse.success(14, utcOffset()));
        writes(14, node -> {
            try {
                ZoneOffset.of(String.valueOf(node.getValue()));
            } catch (DateTimeException e) {
                return WriteResponse.badRequest("an offset such as +02:00 is expected");
            }
            setUtcOffset((String) node.getValue());
            actions.later(() -> changed(14));
            return WriteResponse.success();
        });
        reads(15, () -> ReadResponse.success(15, timezone()));
        writes(15, node -> {
            try {
                ZoneId.of(String.valueOf(node.getValue()));
            } catch (DateTimeException e) {
                return WriteResponse.badRequest("a time zone such as Europe/Berlin is expected");
            }
            setTimezone((String) node.getValue());
            actions.later(() -> changed(15));
            return WriteResponse.success();
        });
        reads(16, () -> ReadResponse.success(16, "U"));
        reads(17, () -> ReadResponse.success(17, "simulated sensor"));
        reads(18, () -> ReadResponse.success(18, "1.0"));
        reads(19, () -> ReadResponse.success(19, SOFTWARE_VERSION));
        // 0 normal, 1 charging, 4 low battery
        reads(20, () -> ReadResponse.success(20, battery.level() < 20 ? 4 : mainsPowered ? 1 : 0));
        reads(21, () -> ReadResponse.success(21, MEMORY_TOTAL));
    }

    private static ReadResponse integers(int resource, Map<Integer, Long> values) {
        return ReadResponse.success(resource, values, Type.INTEGER);
    }

    /** Lets a while pass. Returns the resources that changed. */
    synchronized int[] age(double seconds, long messages) {
        battery.drain(seconds, messages);
        memoryFree = Math.min(MEMORY_TOTAL - 40, Math.max(60, memoryFree + random.nextInt(-6, 7)));
        if (battery.level() < 20) {
            error = LOW_BATTERY;
        }
        return new int[] { 7, 9, 10, 11, 13 };
    }

    /** A restart: the software has only what is in flash memory. */
    synchronized void restarted() {
        memoryFree = 200;
        error = NO_ERROR;
    }

    synchronized void factorySettings() {
        restarted();
        utcOffset = "+00:00";
        timezone = "UTC";
    }

    private synchronized int memoryFree() {
        return memoryFree;
    }

    private synchronized int error() {
        return error;
    }

    private synchronized void clearErrors() {
        error = NO_ERROR;
    }

    private synchronized String utcOffset() {
        return utcOffset;
    }

    private synchronized void setUtcOffset(String offset) {
        utcOffset = offset;
    }

    private synchronized String timezone() {
        return timezone;
    }

    private synchronized void setTimezone(String zone) {
        timezone = zone;
    }
}
