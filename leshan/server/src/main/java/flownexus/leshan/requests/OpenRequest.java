package flownexus.leshan.requests;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ScheduledFuture;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.json.Json;

/** A request that was accepted and whose end is not on disk yet. What changes is guarded by the object itself. */
final class OpenRequest {

    final String id;
    final Target target;
    /** ms since 1970. */
    final long accepted;
    private final long acceptedNanos = System.nanoTime();
    /** Whether a former process accepted it. */
    private final boolean former;
    /** Null once it has ended: it holds the payload. */
    private Job job;
    private boolean started;
    private boolean cancelled;
    private boolean ended;
    private ScheduledFuture<?> deadline;
    /** Who is to be told when it is on disk; null when it is. */
    private List<Runnable> waiting = new ArrayList<>();

    /** @param job null for one that a former process accepted */
    OpenRequest(String id, Target target, long accepted, Job job) {
        this.id = id;
        this.target = target;
        this.accepted = accepted;
        this.job = job;
        this.former = job == null;
    }

    /** Runs that when the id is on disk, or now. */
    void whenCommitted(Runnable action) {
        synchronized (this) {
            if (waiting != null) {
                waiting.add(action);
                return;
            }
        }
        action.run();
    }

    /** Tells those who wait that it is on disk. */
    void committed() {
        List<Runnable> told;
        synchronized (this) {
            told = waiting;
            waiting = null;
        }
        told.forEach(Runnable::run);
    }

    /** The job, to be started now; null if that is not to be done any more. */
    synchronized Job begin() {
        if (ended || cancelled) {
            return null;
        }
        started = true;
        return job;
    }

    /** Asks for its end; what is under way is told by whoever started it. */
    void cancel() {
        Job running;
        synchronized (this) {
            cancelled = true;
            running = started ? job : null;
        }
        if (running != null) {
            running.cancel();
        }
    }

    synchronized boolean isCancelled() {
        return cancelled;
    }

    synchronized void setDeadline(ScheduledFuture<?> planned) {
        if (ended) {
            planned.cancel(false);
        } else {
            deadline = planned;
        }
    }

    /**
     * Ends it.
     *
     * @return whether any of it left, or may have; empty if it has ended before
     */
    synchronized Optional<Boolean> end() {
        if (ended) {
            return Optional.empty();
        }
        ended = true;
        boolean left = former || started && job.left();
        job = null;
        if (deadline != null) {
            deadline.cancel(false);
        }
        return Optional.of(left);
    }

    /** ms from the acceptance until now; over a restart by the wall clock. */
    long durationMillis(long now) {
        return former ? Math.max(0, now - accepted) : (System.nanoTime() - acceptedNanos) / 1_000_000;
    }

    byte[] pendingRecord() {
        return Json.bytes(json -> {
            json.writeStartObject();
            writeFields(json, "pending");
            json.writeEndObject();
        });
    }

    void writeFields(JsonGenerator json, String state) throws IOException {
        json.writeStringField("requestId", id);
        target.writeFields(json);
        json.writeStringField("state", state);
        json.writeNumberField("accepted", accepted);
    }
}
