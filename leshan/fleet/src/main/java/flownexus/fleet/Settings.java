package flownexus.fleet;

import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/**
 * How a fleet behaves. Durations are the devices' own time; see the command line's help for the meaning of each.
 *
 * @param server {@code coap://} or {@code coaps://}
 * @param firstPort local UDP port of device 1, counted up from there; 0 for any
 * @param interval between two values of one device
 * @param updatePeriod between registration updates; null: well before the lifetime ends
 * @param report null: no report
 * @param roundTrip to the server and back, on top of what the network takes
 * @param testObject whether the devices have object 33000
 */
record Settings(URI server, Mode mode, Path credentials, int count, String endpoints, Duration interval, int sleepers,
        Duration awake, Duration sleep, boolean send, boolean counted, Path report, Duration lifetime,
        Duration updatePeriod, long seed, Duration ackTimeout, int maxRetransmit, Duration dtlsTimeout,
        int dtlsMaxRetransmissions, int firstPort, int startRate, boolean connectionId, Duration backoff,
        Duration backoffMax, Duration boot, boolean deregister, Duration roundTrip, boolean testObject,
        FaultPlan faults, Firmware firmware, LogSettings logs) {

    /**
     * What the devices' object 5 is like.
     *
     * @param version at the start
     * @param instances at least 1
     * @param method as in 5/x/9: 0 pull only, 1 push only, 2 both
     * @param protocols as in 5/x/8
     * @param install how long State 3 lasts before the reboot
     * @param reportDownloading whether State 1 is ever shown
     * @param objectVersion 1.0 or 1.1
     * @param blockSize in bytes: the largest that is taken or asked for
     */
    record Firmware(String version, int instances, int method, List<Integer> protocols, Duration install,
            boolean reportDownloading, String objectVersion, int blockSize) {
    }

    /** How a device proves its name. */
    enum Mode {
        X509, PSK, NOSEC
    }

    /**
     * The longest time that a confirmable message takes to be given up (RFC 7252, 4.8.2: MAX_TRANSMIT_WAIT with the
     * default random factor of 1.5).
     */
    Duration transmitWait() {
        return ackTimeout.multipliedBy((1L << maxRetransmit + 1) - 1).multipliedBy(3).dividedBy(2);
    }

    /** The longest time that one flight of a handshake takes to be given up. */
    Duration handshakeWait() {
        return dtlsTimeout.multipliedBy((1L << dtlsMaxRetransmissions + 1) - 1);
    }

    /** When a registration is updated without a reason. */
    Duration effectiveUpdatePeriod(Duration actualLifetime) {
        if (updatePeriod != null) {
            return updatePeriod;
        }
        Duration early = actualLifetime.minus(transmitWait()).minusSeconds(10);
        Duration half = actualLifetime.dividedBy(2);
        return early.compareTo(half) > 0 ? early : half;
    }
}
