package flownexus.fleet;

import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.concurrent.Executor;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/** An IPSO sensor (3303 temperature, 3304 humidity; both 1.1). */
final class SensorInstance extends SimulatedInstance {

    static final int VALUE = 5700;
    private static final int MIN_MEASURED = 5601;
    private static final int MAX_MEASURED = 5602;
    private static final int TIMESTAMP = 5518;

    private double value;
    private double min;
    private double max;
    private Instant measured;
    private String application = "";

    /** @param later runs what must not run while Leshan holds the object's lock */
    SensorInstance(String unit, double rangeMin, double rangeMax, double first, Instant now, Counters counters,
            Executor later) {
        super(0, counters);
        value = first;
        min = first;
        max = first;
        measured = now;
        reads(VALUE, () -> ReadResponse.success(VALUE, value()));
        reads(MIN_MEASURED, () -> ReadResponse.success(MIN_MEASURED, min()));
        reads(MAX_MEASURED, () -> ReadResponse.success(MAX_MEASURED, max()));
        reads(5603, () -> ReadResponse.success(5603, rangeMin));
        reads(5604, () -> ReadResponse.success(5604, rangeMax));
        reads(5701, () -> ReadResponse.success(5701, unit));
        reads(TIMESTAMP, () -> ReadResponse.success(TIMESTAMP, Date.from(measured())));
        reads(5750, () -> ReadResponse.success(5750, application()));
        writes(5750, node -> {
            if (node.getType() != Type.STRING) {
                return WriteResponse.badRequest("a text is expected");
            }
            synchronized (this) {
                application = (String) node.getValue();
            }
            later.execute(() -> changed(5750));
            return WriteResponse.success();
        });
        executes(5605, () -> {
            resetMinMax();
            later.execute(() -> changed(MIN_MEASURED, MAX_MEASURED));
            return ExecuteResponse.success();
        });
    }

    /** Takes a new measurement. Returns the resources that it changed; the observers are told by {@code changed}. */
    synchronized int[] measure(double newValue, Instant now) {
        List<Integer> changed = new ArrayList<>(List.of(VALUE, TIMESTAMP));
        value = newValue;
        measured = now;
        if (newValue < min) {
            min = newValue;
            changed.add(MIN_MEASURED);
        }
        if (newValue > max) {
            max = newValue;
            changed.add(MAX_MEASURED);
        }
        return changed.stream().mapToInt(Integer::intValue).toArray();
    }

    synchronized double value() {
        return value;
    }

    private synchronized double min() {
        return min;
    }

    private synchronized double max() {
        return max;
    }

    private synchronized Instant measured() {
        return measured;
    }

    private synchronized String application() {
        return application;
    }

    /** As /5605 and every restart do. */
    synchronized void resetMinMax() {
        min = value;
        max = value;
    }

    synchronized void factoryReset() {
        resetMinMax();
        application = "";
    }
}
