package flownexus.leshan.requests;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import flownexus.leshan.events.EventLog;
import flownexus.leshan.journal.Entry;
import flownexus.leshan.json.Json;

/**
 * Requests that outlive their caller: each is on disk before anything of it is sent, is started at most once whoever repeats
 * it, and ends with exactly one REQUEST_RESPONSE.
 */
public final class RequestService {

    private static final Logger LOG = LoggerFactory.getLogger(RequestService.class);

    private static final String EVENT = "REQUEST_RESPONSE";
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    private static final int READ_BYTES = 1 << 20;
    /** A job ends by itself; this is for one that does not, so that its request ends all the same. */
    private static final long GRACE_MILLIS = 5000;

    /** A request as it is told: its record in JSON, and whether it has ended. */
    public record Found(boolean ended, byte[] record) {
    }

    /** Is told of a request, once. */
    @FunctionalInterface
    public interface Reply {
        void found(Found found);
    }

    private final RequestStore store;
    private final EventLog events;
    private final ScheduledExecutorService timer;
    private final Map<String, OpenRequest> open = new ConcurrentHashMap<>();
    private final ExecutorService starter = Executors.newSingleThreadExecutor(task -> new Thread(task, "requests"));
    private volatile boolean stopping;

    /** Ends what a former process left unanswered. */
    public RequestService(RequestStore store, EventLog events, ScheduledExecutorService timer) {
        this.store = store;
        this.events = events;
        this.timer = timer;
        endUnanswered();
    }

    /** Whether that may be a request's id. */
    public static boolean isId(String text) {
        return text != null && ID.matcher(text).matches();
    }

    /** Whether nothing can be accepted now, because the disk takes nothing or the server ends. */
    public boolean refuses() {
        return stopping || store.overloaded();
    }

    /** The request with that id, or null. */
    public Found find(String id) {
        OpenRequest request = open.get(id);
        if (request != null) {
            return new Found(false, request.pendingRecord());
        }
        byte[] record = store.find(id);
        return record == null ? null : new Found(true, record);
    }

    /**
     * As {@link #find(String)}, but told only when the request is on disk: who repeats it may count on that.
     *
     * @return false if there is none; then nobody is told
     */
    public boolean find(String id, Reply reply) {
        OpenRequest request = open.get(id);
        if (request != null) {
            request.whenCommitted(() -> reply.found(find(id)));
            return true;
        }
        Found found = find(id);
        if (found != null) {
            reply.found(found);
        }
        return found != null;
    }

    /**
     * Accepts a request, unless there is one with that id.
     *
     * @param job started when the id is on disk
     * @param reply told of the request with that id when it is on disk
     */
    public void accept(String id, Target target, Job job, Reply reply) {
        OpenRequest request = new OpenRequest(id, target, System.currentTimeMillis(), job);
        OpenRequest other = open.putIfAbsent(id, request);
        if (other != null) {
            other.whenCommitted(() -> reply.found(find(id)));
            return;
        }
        // one with that id may have ended just before
        byte[] record = store.find(id);
        if (record != null) {
            open.remove(id, request);
            reply.found(new Found(true, record));
            return;
        }
        byte[] pending = request.pendingRecord();
        request.whenCommitted(() -> reply.found(new Found(false, pending)));
        String after = events.journal().id() + "-" + events.journal().last();
        store.accept(id, Json.bytes(json -> {
            json.writeStartObject();
            request.writeFields(json, "pending");
            json.writeStringField("after", after);
            json.writeEndObject();
        }), () -> committed(request));
    }

    /** Runs on the store's writer. */
    private void committed(OpenRequest request) {
        try {
            starter.execute(() -> start(request));
        } catch (RejectedExecutionException e) {
            LOG.debug("request {} is not started: the server ends", request.id);
        }
    }

    private void start(OpenRequest request) {
        Job job = request.begin();
        if (job == null) {
            end(request, "cancelled", null, null);
        } else {
            Ending ending = new Ending(request);
            try {
                request.setDeadline(timer.schedule(() -> overdue(request, job), job.timeoutMillis() + GRACE_MILLIS,
                        TimeUnit.MILLISECONDS));
                job.start(ending);
                if (request.isCancelled()) {
                    job.cancel();
                }
            } catch (RuntimeException e) {
                LOG.error("request {}", request.id, e);
                ending.failed("Unexpected exception: " + e.getMessage());
            }
        }
        request.committed();
    }

    private void overdue(OpenRequest request, Job job) {
        LOG.warn("request {} to '{}' did not end by itself", request.id, request.target.endpoint());
        end(request, "timeout", null, null);
        job.cancel();
    }

    /**
     * Asks for the end of a request.
     *
     * @return the request with that id as it was before, or null
     */
    public Found cancel(String id) {
        OpenRequest request = open.get(id);
        if (request == null) {
            return find(id);
        }
        request.cancel();
        return new Found(false, request.pendingRecord());
    }

    /** Ends all, as what will never be known. */
    public void stop() {
        stopping = true;
        starter.shutdownNow();
        open.values().forEach(request -> end(request, "unknown", null, null));
    }

    private void end(OpenRequest request, String outcome, String response, String error) {
        Optional<Boolean> left = request.end();
        if (left.isEmpty()) {
            return;
        }
        long time = System.currentTimeMillis();
        long duration = request.durationMillis(time);
        Json.Writer fields = json -> {
            json.writeStringField("outcome", outcome);
            if (response != null) {
                json.writeFieldName("response");
                json.writeRawValue(response);
            }
            if (error != null) {
                json.writeStringField("error", error);
            }
            json.writeBooleanField("sent", left.get());
            json.writeNumberField("time", time);
            json.writeNumberField("duration", duration);
        };
        byte[] record = Json.bytes(json -> {
            json.writeStartObject();
            request.writeFields(json, "ended");
            fields.write(json);
            json.writeEndObject();
        });
        Target target = request.target;
        events.publish(EVENT, target.endpoint(), request.id + " " + target.path() + " " + outcome, json -> {
            json.writeStartObject();
            target.writeFields(json);
            json.writeStringField("requestId", request.id);
            fields.write(json);
            json.writeBooleanField("delayed", true);
            json.writeEndObject();
        }, () -> {
            // only now: a start after a crash between the two finds the event
            store.end(request.id, record);
            open.remove(request.id);
        });
    }

    private void endUnanswered() {
        Map<String, JsonNode> unanswered = new HashMap<>();
        store.unanswered().forEach((id, record) -> unanswered.put(id, json(record)));
        if (unanswered.isEmpty()) {
            return;
        }
        publishedAnswers(unanswered).forEach((id, event) -> {
            ObjectNode record = (ObjectNode) unanswered.remove(id);
            record.remove("after");
            record.setAll(event);
            record.remove("delayed");
            record.put("state", "ended");
            store.end(id, Json.bytes(json -> json.writeTree(record)));
        });
        unanswered.forEach((id, record) -> {
            OpenRequest request = new OpenRequest(id, Target.read(record), record.path("accepted").longValue(), null);
            open.put(id, request);
            request.committed();
            end(request, "unknown", null, null);
        });
        if (!unanswered.isEmpty()) {
            LOG.warn("{} requests were unanswered when the server ended: what became of them is unknown", unanswered.size());
        }
    }

    /** The events that end some of those requests, by their ids. */
    private Map<String, ObjectNode> publishedAnswers(Map<String, JsonNode> unanswered) {
        Map<String, ObjectNode> published = new HashMap<>();
        String journal = events.journal().id() + "-";
        long after = unanswered.values().stream().map(record -> record.path("after").asText())
                .filter(place -> place.startsWith(journal))
                .mapToLong(place -> Long.parseLong(place.substring(journal.length()))).min().orElse(Long.MAX_VALUE);
        while (true) {
            List<Entry> entries = events.journal().read(after, READ_BYTES);
            if (entries.isEmpty()) {
                return published;
            }
            for (Entry entry : entries) {
                if (entry.type().equals(EVENT)) {
                    ObjectNode event = (ObjectNode) json(entry.data());
                    String id = event.path("requestId").asText();
                    if (unanswered.containsKey(id)) {
                        published.put(id, event);
                    }
                }
            }
            after = entries.get(entries.size() - 1).sequence();
        }
    }

    private static JsonNode json(byte[] record) {
        try {
            return Json.MAPPER.readTree(record);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private final class Ending implements Job.Ending {

        private final OpenRequest request;

        Ending(OpenRequest request) {
            this.request = request;
        }

        @Override
        public void answered(Json.Writer response) {
            String text;
            try {
                text = new String(Json.bytes(response), StandardCharsets.UTF_8);
            } catch (RuntimeException e) {
                LOG.error("the answer to request {} cannot be told", request.id, e);
                failed("Unexpected exception: " + e.getMessage());
                return;
            }
            end(request, "answered", text, null);
        }

        @Override
        public void timedOut() {
            end(request, "timeout", null, null);
        }

        @Override
        public void cancelled(String error) {
            if (request.isCancelled()) {
                end(request, "cancelled", null, null);
            } else {
                failed(error);
            }
        }

        @Override
        public void failed(String error) {
            end(request, "failed", null, error);
        }
    }
}
