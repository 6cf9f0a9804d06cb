package flownexus.fleet;

import java.time.DateTimeException;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.temporal.ChronoUnit;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** A device's own idea of the time: it may be wrong from the start, gain or lose, and be set by the server (/3/0/13). */
final class DeviceClock {

    private static final int EIGHTH_OF_A_SECOND = 125_000_000;
    private static final Pattern OFFSET = Pattern.compile("[+-]\\d{1,10}(?:\\.\\d{1,3})?");
    private static final double MILLION = 1e6;

    /** Null while the clock is right. */
    private Instant base;
    private long baseNanos;
    private double rate = 1;
    private Instant last = Instant.MIN;

    /**
     * What the clock shows when the device starts, by what is true: {@code boot} is 1970 (the time is the uptime), a date
     * or a moment is what ISO 8601 says, {@code +N} and {@code -N} are seconds from the truth.
     *
     * @throws IllegalArgumentException what it is not
     */
    static UnaryOperator<Instant> parse(String text) {
        if (text.equals("boot")) {
            return now -> Instant.EPOCH;
        }
        if (OFFSET.matcher(text).matches()) {
            Duration offset = Duration.ofMillis(Math.round(Double.parseDouble(text) * 1000));
            return now -> now.plus(offset);
        }
        try {
            Instant start = text.length() > 10 ? Instant.parse(text)
                    : LocalDate.parse(text).atStartOfDay(ZoneOffset.UTC).toInstant();
            return now -> start;
        } catch (DateTimeException e) {
            throw new IllegalArgumentException("'" + text + "' is no time", e);
        }
    }

    synchronized Instant now() {
        if (base == null) {
            return Instant.now();
        }
        return base.plusNanos(Math.round((System.nanoTime() - baseNanos) * rate));
    }

    /**
     * As {@link #now()} in whole milliseconds, but never the same twice: samples of one path are told apart by their
     * time. Eighths of a second are passed over: as SenML CBOR decimal fractions, which is how Leshan writes times,
     * they make Leshan's own decoder refuse the whole Send.
     */
    synchronized Instant stamp() {
        Instant stamp = now().truncatedTo(ChronoUnit.MILLIS);
        if (!stamp.isAfter(last)) {
            stamp = last.plusMillis(1);
        }
        if (stamp.getNano() % EIGHTH_OF_A_SECOND == 0) {
            stamp = stamp.plusMillis(1);
        }
        last = stamp;
        return stamp;
    }

    synchronized void set(Instant time) {
        base = time;
        baseNanos = System.nanoTime();
        last = Instant.MIN;
    }

    /**
     * As after a restart, when the network has told the time.
     *
     * @param start what it shows, by what is true; null: just that
     * @param partsPerMillion what it gains
     */
    synchronized void reset(UnaryOperator<Instant> start, double partsPerMillion) {
        rate = 1 + partsPerMillion / MILLION;
        if (start == null && partsPerMillion == 0) {
            base = null;
            last = Instant.MIN;
        } else {
            Instant truth = Instant.now();
            set(start == null ? truth : start.apply(truth));
        }
    }
}
