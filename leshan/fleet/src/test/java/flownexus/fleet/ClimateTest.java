package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

import org.junit.jupiter.api.Test;

class ClimateTest {

    private static final Instant MIDNIGHT = Instant.parse("2026-06-01T00:00:00Z");
    private static final Duration STEP = Duration.ofMinutes(5);
    private static final int DAY_OF_STEPS = 288;

    private static List<Double> temperatures(long seed) {
        Climate climate = new Climate(new SplittableRandom(seed));
        List<Double> values = new ArrayList<>();
        for (int i = 0; i < DAY_OF_STEPS; i++) {
            values.add(climate.temperature(MIDNIGHT.plus(STEP.multipliedBy(i))));
        }
        return values;
    }

    @Test
    void theSeedDecides() {
        assertEquals(temperatures(7), temperatures(7));
        assertNotEquals(temperatures(7), temperatures(8));
    }

    @Test
    void devicesOfOneFleetDiffer() {
        SplittableRandom seeds = new SplittableRandom(7);
        Climate first = new Climate(seeds.split());
        Climate second = new Climate(seeds.split());
        assertNotEquals(first.temperature(MIDNIGHT), second.temperature(MIDNIGHT));
    }

    @Test
    void theAfternoonIsWarmerThanTheNight() {
        for (long seed = 0; seed < 50; seed++) {
            List<Double> day = temperatures(seed);
            double night = mean(day.subList(12, 60));
            double afternoon = mean(day.subList(13 * 12, 17 * 12));
            assertTrue(afternoon > night + 2, "seed " + seed + ": " + night + " at night, " + afternoon);
        }
    }

    @Test
    void neighbouringValuesBelongTogether() {
        List<Double> day = temperatures(3);
        for (int i = 1; i < day.size(); i++) {
            assertTrue(Math.abs(day.get(i) - day.get(i - 1)) < 0.5, "jump at step " + i);
        }
    }

    @Test
    void valuesHaveTheSensorsResolution() {
        for (double value : temperatures(5)) {
            assertEquals(Math.rint(value * 100) / 100, value);
        }
    }

    @Test
    void humidityFallsWhenItWarmsUp() {
        for (long seed = 0; seed < 50; seed++) {
            Climate climate = new Climate(new SplittableRandom(seed));
            List<Double> temperature = new ArrayList<>();
            List<Double> humidity = new ArrayList<>();
            for (int i = 0; i < DAY_OF_STEPS; i++) {
                Instant time = MIDNIGHT.plus(STEP.multipliedBy(i));
                temperature.add(climate.temperature(time));
                humidity.add(climate.humidity(time));
            }
            assertTrue(correlation(temperature, humidity) < -0.8, "seed " + seed);
            assertTrue(humidity.stream().allMatch(value -> value >= 5 && value <= 100), "seed " + seed);
        }
    }

    @Test
    void aBatteryDrainsSlowlyAndIsChangedWhenEmpty() {
        Battery battery = new Battery(new SplittableRandom(1));
        int full = battery.level();
        battery.drain(3600, 1800);
        assertTrue(full - battery.level() <= 1, "an hour costs " + (full - battery.level()) + " percent");
        int previous = battery.level();
        boolean changed = false;
        for (int day = 0; day < 800; day++) {
            battery.drain(86_400, 0);
            changed |= battery.level() > previous;
            previous = battery.level();
            assertTrue(previous > 0 && previous <= 100);
            assertTrue(battery.millivolts() >= 3000 && battery.millivolts() <= 4000);
        }
        assertTrue(changed);
    }

    private static double mean(List<Double> values) {
        return values.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
    }

    private static double correlation(List<Double> left, List<Double> right) {
        double leftMean = mean(left);
        double rightMean = mean(right);
        double product = 0;
        double leftSquares = 0;
        double rightSquares = 0;
        for (int i = 0; i < left.size(); i++) {
            double a = left.get(i) - leftMean;
            double b = right.get(i) - rightMean;
            product += a * b;
            leftSquares += a * a;
            rightSquares += b * b;
        }
        return product / Math.sqrt(leftSquares * rightSquares);
    }
}
