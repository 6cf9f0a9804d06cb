package flownexus.fleet;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.BooleanSupplier;

import org.eclipse.leshan.client.request.UplinkRequestSender;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.response.SendResponse;

/**
 * Collects samples and brings them to the server with Send: one timestamped series (SenML CBOR) after the other, each
 * repeated until the server says that it has it.
 */
final class SampleSender {

    /** A value of a resource at a time of the device's clock. */
    record Sample(Instant time, LwM2mPath path, double value) {
    }

    /** Called without locks held. */
    interface Listener {
        void unanswered(String reason);

        /** The server answered with an error. */
        void refused(String reason);

        /** All collected samples have arrived. */
        void drained();
    }

    /** What a device keeps while nobody takes it. */
    static final int CAPACITY = 10_000;
    /** Samples in one Send: about 40 bytes each, and a stock Leshan server takes 8 KiB in all. */
    private static final int BATCH = 150;
    /** A series that the server keeps refusing must not hold up the ones behind it. */
    private static final int MAX_REFUSALS = 3;

    private final UplinkRequestSender uplink;
    private final Duration answerTimeout;
    private final BooleanSupplier twice;
    private final Counters counters;
    private final Listener listener;

    private final Deque<Sample> pending = new ArrayDeque<>();
    private int sentBefore;
    private int refusals;
    private boolean busy;

    /** @param twice asked for each series: whether it is to be sent once more after it arrived */
    SampleSender(UplinkRequestSender uplink, Duration answerTimeout, BooleanSupplier twice, Counters counters,
            Listener listener) {
        this.uplink = uplink;
        this.answerTimeout = answerTimeout;
        this.twice = twice;
        this.counters = counters;
        this.listener = listener;
    }

    /** Whether a further sample would push out the oldest. */
    synchronized boolean isFull() {
        return pending.size() >= CAPACITY;
    }

    synchronized boolean isBusy() {
        return busy;
    }

    synchronized void collect(Sample sample) {
        // while a batch is on its way its samples have to stay where they are
        if (pending.size() >= CAPACITY) {
            counters.discarded.incrementAndGet();
            if (busy) {
                return;
            }
            pending.removeFirst();
            sentBefore = Math.max(0, sentBefore - 1);
        }
        pending.addLast(sample);
    }

    /** Starts to bring what was collected, unless that is under way. @param server null while not registered */
    void flush(LwM2mServer server) {
        if (server == null) {
            return;
        }
        int size;
        TimestampedLwM2mNodes.Builder series = new TimestampedLwM2mNodes.Builder();
        synchronized (this) {
            if (busy) {
                return;
            }
            List<Sample> batch = new ArrayList<>();
            Set<Sample> moments = new HashSet<>();
            for (Sample sample : pending) {
                // a second value of the same moment goes with the next series: one has only room for one
                if (batch.size() == BATCH || !moments.add(new Sample(sample.time(), sample.path(), 0))) {
                    break;
                }
                batch.add(sample);
            }
            size = batch.size();
            for (Sample sample : batch) {
                series.put(sample.time(), sample.path(),
                        LwM2mSingleResource.newFloatResource(sample.path().getResourceId(), sample.value()));
            }
            busy = size > 0;
            counters.sent.addAndGet(Math.max(0, size - sentBefore));
            sentBefore = Math.max(sentBefore, size);
        }
        if (size == 0) {
            listener.drained();
            return;
        }
        send(server, series.build(), size, twice.getAsBoolean());
    }

    private void send(LwM2mServer server, TimestampedLwM2mNodes series, int size, boolean again) {
        counters.sends.incrementAndGet();
        try {
            uplink.send(server, new SendRequest(ContentFormat.SENML_CBOR, series, null), answerTimeout.toMillis(),
                    response -> {
                        if (again && response.isSuccess()) {
                            send(server, series, size, false);
                        } else {
                            answered(server, size, response);
                        }
                    }, this::failed);
        } catch (RuntimeException e) {
            failed(e);
        }
    }

    private void answered(LwM2mServer server, int size, SendResponse response) {
        boolean taken = response.isSuccess();
        boolean dropped = false;
        synchronized (this) {
            busy = false;
            if (!taken) {
                dropped = ++refusals >= MAX_REFUSALS;
            }
            if (taken || dropped) {
                refusals = 0;
                sentBefore = Math.max(0, sentBefore - size);
                for (int i = 0; i < size; i++) {
                    pending.removeFirst();
                }
                (taken ? counters.acknowledged : counters.discarded).addAndGet(size);
            }
        }
        if (taken) {
            flush(server);
        } else {
            listener.refused("Send answered " + response.getCode() + (response.getErrorMessage() == null ? ""
                    : " " + response.getErrorMessage()) + (dropped ? ": " + size + " samples dropped" : ""));
        }
    }

    private void failed(Exception error) {
        synchronized (this) {
            busy = false;
        }
        listener.unanswered("Send: " + Failures.describe(error));
    }
}
