package flownexus.fleet;

import java.util.Map;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.response.ReadResponse;

/** Connectivity Monitoring (4, version 1.1) of an NB-IoT modem. */
final class ConnectivityInstance extends SimulatedInstance {

    private static final long NB_IOT = 7;
    private static final long LTE_FDD = 6;

    private final RandomGenerator random;
    private final int usualSignal;
    private int signal;

    ConnectivityInstance(Supplier<String> address, RandomGenerator random, Counters counters) {
        super(0, counters);
        this.random = random;
        usualSignal = random.nextInt(-105, -70);
        signal = usualSignal;
        int cell = random.nextInt(1, 1 << 28);
        reads(0, () -> ReadResponse.success(0, NB_IOT));
        reads(1, () -> ReadResponse.success(1, Map.of(0, NB_IOT, 1, LTE_FDD), Type.INTEGER));
        reads(2, () -> ReadResponse.success(2, signal()));
        reads(3, () -> ReadResponse.success(3, quality()));
        reads(4, () -> ReadResponse.success(4, Map.of(0, address.get()), Type.STRING));
        reads(6, () -> ReadResponse.success(6, 1));
        reads(7, () -> ReadResponse.success(7, Map.of(0, "iot"), Type.STRING));
        reads(8, () -> ReadResponse.success(8, cell));
        reads(9, () -> ReadResponse.success(9, 1));
        reads(10, () -> ReadResponse.success(10, 262));
        reads(11, () -> ReadResponse.success(11, snr()));
    }

    /** Lets a while pass. Returns the resources that changed. */
    synchronized int[] age() {
        // pulled back to the place's usual value, or it would wander off
        double pull = 0.3 * (usualSignal - signal);
        signal = (int) Math.round(Math.min(-50, Math.max(-125, signal + pull + 2 * random.nextGaussian())));
        return new int[] { 2, 3, 11 };
    }

    /** In dBm. */
    synchronized int signal() {
        return signal;
    }

    /** RSRQ in dB. */
    private synchronized int quality() {
        return Math.max(-19, Math.min(-3, (signal + 50) / 4));
    }

    /** In dB. */
    private synchronized int snr() {
        return Math.max(-10, Math.min(25, (signal + 110) / 2));
    }
}
