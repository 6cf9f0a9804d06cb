package flownexus.fleet;

import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/** A device's own idea of the time: the server may set it (/3/0/13). */
final class DeviceClock {

    private static final int EIGHTH_OF_A_SECOND = 125_000_000;

    private volatile Duration offset = Duration.ZERO;
    private Instant last = Instant.MIN;

    Instant now() {
        return Instant.now().plus(offset);
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
        offset = Duration.between(Instant.now(), time);
        last = Instant.MIN;
    }

    /** As after a restart, when the network has told the time. */
    synchronized void reset() {
        offset = Duration.ZERO;
        last = Instant.MIN;
    }
}
