package flownexus.fleet;

import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;

import org.eclipse.californium.core.coap.MessageObserver;
import org.eclipse.californium.core.coap.Response;

/**
 * Brings a device's values to its observers one after the other: the next value is taken only when every notification
 * of the one before was acknowledged or given up, because CoAP keeps only the newest of those that have to wait. Values
 * that fall due meanwhile follow at once, up to a bound.
 * <p>
 * A counted value that nobody acknowledged is said again, so that each arrives, in order, at least once.
 */
final class ValueNotifier {

    /** Makes values. Called without locks held. */
    interface Source {
        /** Takes the next value, or the last one again, and tells the observers. */
        void next(boolean repeat);
    }

    /** What became of a notification, beside its acknowledgement. Called without locks held. */
    interface Listener {
        /** No acknowledgement in spite of all retransmissions. */
        void unanswered();

        /** The server does not know the observation. */
        void rejected();
    }

    /** A device that was cut off catches up with at most so many values. */
    private static final int MAX_DUE = 256;

    private final Source source;
    private final Listener listener;
    private final Counters counters;
    private final boolean counted;
    private final long giveUpNanos;

    private final Set<Response> inFlight = new HashSet<>();
    private int due;
    private boolean stopped;
    private boolean pumping;
    private boolean pumpAgain;
    private long lastFired;
    private boolean fired;
    private boolean sent;
    private boolean acknowledged;

    /** @param giveUp when a notification of which nothing was heard counts as gone */
    ValueNotifier(Source source, Listener listener, Counters counters, boolean counted, Duration giveUp) {
        this.source = source;
        this.listener = listener;
        this.counters = counters;
        this.counted = counted;
        this.giveUpNanos = giveUp.toNanos();
    }

    /** The time for another value has come. */
    void due() {
        synchronized (this) {
            due = stopped ? 0 : Math.min(due + 1, MAX_DUE);
            if (!inFlight.isEmpty() && System.nanoTime() - lastFired > giveUpNanos) {
                inFlight.clear();
            }
        }
        pump();
    }

    /** The observers are gone: nothing that is on its way will be acknowledged. */
    synchronized void reset() {
        inFlight.clear();
        due = 0;
    }

    /** No further value goes out; what is on its way is still counted when it is acknowledged. */
    synchronized void stop() {
        stopped = true;
        due = 0;
    }

    /** Whether every value that went out was acknowledged or given up. */
    synchronized boolean isQuiet() {
        return inFlight.isEmpty();
    }

    private void pump() {
        synchronized (this) {
            if (pumping) {
                pumpAgain = true;
                return;
            }
            pumping = true;
        }
        while (true) {
            boolean repeat;
            synchronized (this) {
                if (due == 0 || !inFlight.isEmpty()) {
                    if (!pumpAgain) {
                        pumping = false;
                        return;
                    }
                    pumpAgain = false;
                    continue;
                }
                due--;
                repeat = counted && fired && !acknowledged;
                if (!repeat) {
                    sent = false;
                    acknowledged = false;
                }
                fired = true;
                lastFired = System.nanoTime();
            }
            try {
                source.next(repeat);
            } catch (RuntimeException e) {
                synchronized (this) {
                    pumping = false;
                }
                throw e;
            }
        }
    }

    /** A notification is about to go out. @param value whether it carries the value, or some other resource */
    void track(Response notification, boolean value) {
        synchronized (this) {
            if (value) {
                inFlight.add(notification);
            }
            if (!counted) {
                counters.sent.incrementAndGet();
            } else if (value && !sent) {
                sent = true;
                counters.sent.incrementAndGet();
            }
        }
        notification.addMessageObserver(new Fate(notification, value));
    }

    private void ended(Response notification, boolean value, boolean wasAcknowledged) {
        boolean free;
        synchronized (this) {
            boolean tracked = !value || inFlight.remove(notification);
            if (wasAcknowledged && (!counted || tracked && value && !acknowledged)) {
                counters.acknowledged.incrementAndGet();
            } else if (!wasAcknowledged && tracked) {
                counters.unacknowledged.incrementAndGet();
            }
            if (value && tracked && wasAcknowledged) {
                acknowledged = true;
            }
            free = value && inFlight.isEmpty() && due > 0;
        }
        if (free) {
            pump();
        }
    }

    /** Of the several things that a message's observer may be told, the first counts. */
    private final class Fate implements MessageObserver {

        private final Response notification;
        private final boolean value;
        private final AtomicBoolean known = new AtomicBoolean();

        Fate(Response notification, boolean value) {
            this.notification = notification;
            this.value = value;
        }

        private void end(boolean wasAcknowledged) {
            if (known.compareAndSet(false, true)) {
                ended(notification, value, wasAcknowledged);
            }
        }

        @Override
        public void onAcknowledgement() {
            end(true);
        }

        @Override
        public void onTimeout() {
            end(false);
            listener.unanswered();
        }

        @Override
        public void onReject() {
            end(false);
            listener.rejected();
        }

        @Override
        public void onCancel() {
            end(false);
        }

        @Override
        public void onSendError(Throwable error) {
            end(false);
        }
    }
}
