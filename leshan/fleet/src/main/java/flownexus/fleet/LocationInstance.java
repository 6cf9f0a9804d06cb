package flownexus.fleet;

import java.util.Date;
import java.util.random.RandomGenerator;

import org.eclipse.leshan.core.response.ReadResponse;

/**
 * Location (6, version 1.0): a place in one town and its surroundings. Most devices were mounted somewhere and stay
 * there; some are on a vehicle that does its round.
 */
final class LocationInstance extends SimulatedInstance {

    static final int LATITUDE = 0;
    static final int LONGITUDE = 1;
    private static final int ALTITUDE = 2;
    private static final int RADIUS = 3;
    static final int TIMESTAMP = 5;
    static final int SPEED = 6;

    private static final double METRES_PER_DEGREE = 111_320;

    private final boolean moves;
    private final DeviceClock clock;
    private final double latitude;
    private final double longitude;
    private final Date mounted;
    private final long beginNanos = System.nanoTime();
    /** The round: a Lissajous figure, half axes in degrees, angular speeds per second. */
    private final double north;
    private final double east;
    private final double northSpeed;
    private final double eastSpeed;

    LocationInstance(boolean moves, DeviceClock clock, RandomGenerator random, Counters counters) {
        super(0, counters);
        this.moves = moves;
        this.clock = clock;
        latitude = 48.137 + random.nextGaussian() * 0.05;
        longitude = 11.575 + random.nextGaussian() * 0.08;
        double altitude = Math.rint(519 + random.nextGaussian() * 15);
        mounted = Date.from(clock.now());
        north = random.nextDouble(0.008, 0.016);
        east = random.nextDouble(0.012, 0.024);
        northSpeed = 2 * Math.PI / random.nextDouble(900, 1500);
        eastSpeed = 2 * Math.PI / random.nextDouble(1200, 2400);
        reads(LATITUDE, () -> ReadResponse.success(LATITUDE, round(latitude(seconds()))));
        reads(LONGITUDE, () -> ReadResponse.success(LONGITUDE, round(longitude(seconds()))));
        reads(ALTITUDE, () -> ReadResponse.success(ALTITUDE, altitude));
        reads(RADIUS, () -> ReadResponse.success(RADIUS, 8.0));
        reads(TIMESTAMP, () -> ReadResponse.success(TIMESTAMP, moves ? Date.from(clock.now()) : mounted));
        reads(SPEED, () -> ReadResponse.success(SPEED, moves ? speed(seconds()) : 0.0));
    }

    /** Tells the observers of a vehicle where it is. */
    void move() {
        if (moves) {
            changed(LATITUDE, LONGITUDE, TIMESTAMP, SPEED);
        }
    }

    private double seconds() {
        return (System.nanoTime() - beginNanos) / 1e9;
    }

    private double latitude(double seconds) {
        return moves ? latitude + north * Math.sin(northSpeed * seconds) : latitude;
    }

    private double longitude(double seconds) {
        return moves ? longitude + east * Math.sin(eastSpeed * seconds) : longitude;
    }

    /** In m/s, to a tenth. */
    private double speed(double seconds) {
        double northward = north * northSpeed * Math.cos(northSpeed * seconds) * METRES_PER_DEGREE;
        double eastward = east * eastSpeed * Math.cos(eastSpeed * seconds) * METRES_PER_DEGREE
                * Math.cos(Math.toRadians(latitude));
        return Math.rint(Math.hypot(northward, eastward) * 10) / 10;
    }

    /** To about a metre. */
    private static double round(double degrees) {
        return Math.rint(degrees * 1e5) / 1e5;
    }
}
