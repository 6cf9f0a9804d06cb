package flownexus.fleet;

import java.time.Instant;
import java.util.random.RandomGenerator;

/**
 * The air around a device: a temperature that follows the day and wanders, and a humidity that falls when it warms up.
 * The same seed and the same times give the same values.
 */
final class Climate {

    private static final double DAY = 86_400;

    private final RandomGenerator random;
    private final double mean;
    private final double swing;
    private final double warmest;
    private final double humidityMean;
    private final double humiditySlope;
    private double drift;
    private double humidityDrift;

    Climate(RandomGenerator random) {
        this.random = random;
        mean = random.nextDouble(18, 24);
        swing = random.nextDouble(2, 6);
        // early to late afternoon, by the time of day in UTC
        warmest = DAY * random.nextDouble(13, 17) / 24;
        humidityMean = random.nextDouble(40, 60);
        humiditySlope = random.nextDouble(1.5, 3);
    }

    /** In °C with the sensor's resolution of 0.01. */
    double temperature(Instant time) {
        // noise with a memory: neighbouring values belong together
        drift = 0.98 * drift + 0.04 * random.nextGaussian();
        return round(expected(time) + drift + 0.02 * random.nextGaussian(), 100);
    }

    /** In %RH with the sensor's resolution of 0.1, between 5 and 100. */
    double humidity(Instant time) {
        humidityDrift = 0.98 * humidityDrift + 0.15 * random.nextGaussian();
        double value = humidityMean - humiditySlope * (expected(time) - mean) + humidityDrift;
        return round(Math.min(100, Math.max(5, value)), 10);
    }

    /** The day's curve without noise, in °C. */
    private double expected(Instant time) {
        double angle = 2 * Math.PI * (time.getEpochSecond() % DAY - warmest) / DAY;
        return mean + swing * Math.cos(angle);
    }

    private static double round(double value, int steps) {
        return (double) Math.round(value * steps) / steps;
    }
}
