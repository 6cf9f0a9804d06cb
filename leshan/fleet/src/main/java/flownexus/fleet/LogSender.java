package flownexus.fleet;

import java.time.Duration;
import java.util.Map;
import java.util.function.BooleanSupplier;

import org.eclipse.leshan.client.request.UplinkRequestSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.response.SendResponse;

/** Brings the lines of a ring to the server with Send, one message at a time; says nothing of itself to the ring. */
final class LogSender {

    /** Called without locks held. */
    interface Listener {
        void unanswered(String reason);

        /** The server answered with an error. */
        void refused(String reason);
    }

    static final LwM2mPath LOG_DATA = new LwM2mPath(LogInstance.OBJECT, 0, LogInstance.LOG_DATA);
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(5);
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(5);

    private final LogRing ring;
    private final UplinkRequestSender uplink;
    private final Duration answerTimeout;
    private final BooleanSupplier twice;
    private final Counters counters;
    private final Listener listener;

    /** Lines below this number are to go now, in whatever company. */
    private long until;
    private boolean busy;
    private int refusals;
    private long refusedUntil;

    /** @param twice asked for each message: whether it is to be sent once more after it arrived */
    LogSender(LogRing ring, UplinkRequestSender uplink, Duration answerTimeout, BooleanSupplier twice,
            Counters counters, Listener listener) {
        this.ring = ring;
        this.uplink = uplink;
        this.answerTimeout = answerTimeout;
        this.twice = twice;
        this.counters = counters;
        this.listener = listener;
    }

    synchronized boolean isBusy() {
        return busy;
    }

    /** A new registration: what the server refused before it may take now. */
    synchronized void registered() {
        refusals = 0;
    }

    /** Starts to bring what waits, unless that is under way or the server refused it lately. */
    void flush(LwM2mServer server) {
        synchronized (this) {
            until = ring.nextSequence();
            if (busy || refusals > 0 && System.nanoTime() < refusedUntil) {
                return;
            }
            busy = true;
        }
        next(server);
    }

    private void next(LwM2mServer server) {
        LogRing.Batch batch;
        synchronized (this) {
            batch = ring.isMessageFull() || ring.isWaitingBefore(until) ? ring.take() : null;
            if (batch == null) {
                busy = false;
                return;
            }
        }
        send(server, batch, twice.getAsBoolean());
    }

    private void send(LwM2mServer server, LogRing.Batch batch, boolean again) {
        counters.logSends.incrementAndGet();
        try {
            SendRequest request = new SendRequest(ContentFormat.SENML_CBOR,
                    Map.of(LOG_DATA, LwM2mSingleResource.newBinaryResource(LogInstance.LOG_DATA, batch.message())));
            uplink.send(server, request, answerTimeout.toMillis(),
                    response -> answered(server, batch, again, response), error -> failed(batch, error));
        } catch (RuntimeException e) {
            failed(batch, e);
        }
    }

    private void answered(LwM2mServer server, LogRing.Batch batch, boolean again, SendResponse response) {
        if (response.isSuccess()) {
            if (again) {
                send(server, batch, false);
                return;
            }
            synchronized (this) {
                refusals = 0;
            }
            counters.logAcknowledged.addAndGet(ring.arrived(batch));
            next(server);
            return;
        }
        ring.failed(batch);
        boolean first;
        synchronized (this) {
            busy = false;
            first = refusals == 0;
            long pause = FIRST_PAUSE.toNanos() << Math.min(refusals, 6);
            refusedUntil = System.nanoTime() + Math.min(pause, LONGEST_PAUSE.toNanos());
            refusals++;
        }
        if (first) {
            listener.refused("Send of log lines answered " + response.getCode()
                    + (response.getErrorMessage() == null ? "" : " " + response.getErrorMessage()));
        }
    }

    private void failed(LogRing.Batch batch, Exception error) {
        ring.failed(batch);
        synchronized (this) {
            busy = false;
        }
        listener.unanswered("Send of log lines: " + Failures.describe(error));
    }
}
