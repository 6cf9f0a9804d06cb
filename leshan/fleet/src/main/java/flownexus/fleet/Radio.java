package flownexus.fleet;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The switch between a device and the network. While it is off nothing goes out and what arrives is lost, as with a
 * sleeping device's receiver; the socket stays bound, so that no ICMP message gives the sleeper away. On a long way every
 * datagram takes its time, in the order in which they set out.
 */
final class Radio {

    /** Takes what arrives while the radio is on. Called on the one receiving thread: must not block. */
    interface Receiver {
        void receive(byte[] datagram, InetSocketAddress peer);
    }

    /** Puts a datagram on the network. */
    interface Transmission {
        void run() throws IOException;
    }

    private static final Logger LOG = LoggerFactory.getLogger(Radio.class);

    private final RadioLoop loop;
    private final ScheduledExecutorService air;
    private final long wayNanos;
    private volatile boolean on = true;
    private volatile Receiver receiver;

    /** @param air one thread, for the datagrams that are on their way; @param way how long that takes in one direction */
    Radio(RadioLoop loop, ScheduledExecutorService air, Duration way) {
        this.loop = loop;
        this.air = air;
        this.wayNanos = way.toNanos();
    }

    RadioLoop loop() {
        return loop;
    }

    void set(boolean switchedOn) {
        on = switchedOn;
    }

    void setReceiver(Receiver newReceiver) {
        receiver = newReceiver;
    }

    void received(byte[] datagram, InetSocketAddress peer) {
        if (wayNanos == 0) {
            arrived(datagram, peer);
        } else {
            travel(() -> arrived(datagram, peer));
        }
    }

    private void arrived(byte[] datagram, InetSocketAddress peer) {
        Receiver target = receiver;
        if (on && target != null) {
            target.receive(datagram, peer);
        }
    }

    /** Nothing happens while the radio is off. @throws IOException only where the way takes no time */
    void send(Transmission transmission) throws IOException {
        if (!on) {
            return;
        }
        if (wayNanos == 0) {
            transmission.run();
        } else {
            travel(() -> {
                try {
                    transmission.run();
                } catch (IOException e) {
                    LOG.debug("a datagram was lost: {}", e.getMessage());
                }
            });
        }
    }

    private void travel(Runnable arrival) {
        try {
            air.schedule(() -> {
                try {
                    arrival.run();
                } catch (RuntimeException e) {
                    LOG.debug("a datagram was not processed", e);
                }
            }, wayNanos, TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException e) {
            LOG.debug("going down");
        }
    }
}
