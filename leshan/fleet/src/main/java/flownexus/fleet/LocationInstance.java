package flownexus.fleet;

import java.time.Instant;
import java.util.Date;
import java.util.random.RandomGenerator;

import org.eclipse.leshan.core.response.ReadResponse;

/** Location (6, version 1.0) of a device that was mounted somewhere and stays there. */
final class LocationInstance extends SimulatedInstance {

    LocationInstance(Instant fixed, RandomGenerator random, Counters counters) {
        super(0, counters);
        double latitude = round(48.137 + random.nextGaussian() * 0.05);
        double longitude = round(11.575 + random.nextGaussian() * 0.08);
        double altitude = Math.rint(519 + random.nextGaussian() * 15);
        Date time = Date.from(fixed);
        reads(0, () -> ReadResponse.success(0, latitude));
        reads(1, () -> ReadResponse.success(1, longitude));
        reads(2, () -> ReadResponse.success(2, altitude));
        reads(3, () -> ReadResponse.success(3, 8.0));
        reads(5, () -> ReadResponse.success(5, time));
        reads(6, () -> ReadResponse.success(6, 0.0));
    }

    /** To about a metre. */
    private static double round(double degrees) {
        return Math.rint(degrees * 1e5) / 1e5;
    }
}
