package flownexus.leshan.http;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.events.EventLog;
import flownexus.leshan.events.LogText;
import flownexus.leshan.journal.Cursor;
import flownexus.leshan.journal.Entry;
import flownexus.leshan.journal.Journal;
import flownexus.leshan.json.Json;

/**
 * {@code /api/event}: server-sent events from the journal. Each listener has its own place in it and is written to when its
 * socket takes more, so that a slow one delays nobody.
 */
final class EventStreams {

    private static final Logger LOG = LoggerFactory.getLogger(EventStreams.class);

    private static final long IDLE_NANOS = TimeUnit.SECONDS.toNanos(5);
    /** Jetty ends a write that has come no further for 30 s; this is for what escapes it. */
    private static final long STALLED_NANOS = TimeUnit.SECONDS.toNanos(120);
    private static final int CHUNK_BYTES = 128 * 1024;
    private static final int MAX_LIVE = 1000;

    private final EventLog events;
    private final Journal journal;
    private final ExecutorService executor;
    private final Set<Stream> streams = ConcurrentHashMap.newKeySet();

    /**
     * @param executor writes to listeners
     * @param timer finds idle and stalled ones
     */
    EventStreams(EventLog events, ExecutorService executor, ScheduledExecutorService timer) {
        this.events = events;
        this.journal = events.journal();
        this.executor = executor;
        journal.addListener(() -> streams.forEach(Stream::wake));
        timer.scheduleWithFixedDelay(() -> streams.forEach(Stream::check), 1, 1, TimeUnit.SECONDS);
    }

    /** How many listen now. */
    int listeners() {
        return streams.size();
    }

    void handle(Call call) {
        String accept = call.request.getHeaders().get(HttpHeader.ACCEPT);
        if (!call.method().equals("GET") || accept == null || !accept.contains("text/event-stream")) {
            call.text(405, "Method not allowed: GET with Accept: text/event-stream");
            return;
        }
        String lastEventId = call.request.getHeaders().get("Last-Event-ID");
        if (lastEventId == null || lastEventId.isBlank()) {
            lastEventId = call.query.get("lastEventId");
        }
        Cursor cursor = lastEventId == null || lastEventId.isBlank() ? Cursor.live(journal)
                : Cursor.after(journal, lastEventId.strip());
        call.response.getHeaders().put(HttpHeader.CONTENT_TYPE, "text/event-stream;charset=utf-8");
        call.response.getHeaders().put(HttpHeader.CACHE_CONTROL, "no-cache");
        new Stream(call, cursor, call.query.get("ep")).open();
    }

    /** Ends all streams. */
    void close() {
        streams.forEach(stream -> stream.end(null));
    }

    private final class Stream implements EventLog.LiveListener {

        private final Call call;
        private final Cursor cursor;
        private final String endpoint;
        private final Deque<byte[]> live = new ArrayDeque<>();
        private boolean busy = true;
        private boolean again;
        private boolean commentDue = true;
        private boolean ended;
        private volatile long wroteNanos = System.nanoTime();
        private volatile boolean writing;

        Stream(Call call, Cursor cursor, String endpoint) {
            this.call = call;
            this.cursor = cursor;
            this.endpoint = endpoint;
        }

        void open() {
            streams.add(this);
            events.addLiveListener(this);
            call.request.addFailureListener(this::end);
            executor.execute(this::pump);
        }

        @Override
        public boolean wants(String device) {
            return endpoint == null || endpoint.equals(device);
        }

        @Override
        public boolean traces() {
            return endpoint != null;
        }

        @Override
        public void live(String type, String device, byte[] data) {
            synchronized (this) {
                if (live.size() >= MAX_LIVE) {
                    live.removeFirst();
                }
                live.addLast(event(null, type, data));
            }
            wake();
        }

        /** Sees to it that what is new is written, now or when the present write is done. */
        void wake() {
            synchronized (this) {
                if (busy || ended) {
                    again = true;
                    return;
                }
                busy = true;
            }
            executor.execute(this::pump);
        }

        void check() {
            try {
                endIfStalled();
            } catch (RuntimeException e) {
                // thrown on, it would end the checks of all other listeners too
                LOG.error("event stream", e);
            }
        }

        private void endIfStalled() {
            long silent = System.nanoTime() - wroteNanos;
            if (writing && silent > STALLED_NANOS) {
                LOG.warn("a listener of the event stream took nothing for {} s: disconnected",
                        TimeUnit.NANOSECONDS.toSeconds(silent));
                end(new IOException("stalled"));
                call.request.getConnectionMetaData().getConnection().close();
            } else if (!writing && silent > IDLE_NANOS) {
                synchronized (this) {
                    commentDue = true;
                }
                wake();
            }
        }

        private void pump() {
            try {
                ByteArrayOutputStream chunk = new ByteArrayOutputStream();
                while (!collect(chunk)) {
                    if (sleep()) {
                        return;
                    }
                }
                writing = true;
                call.response.write(false, ByteBuffer.wrap(chunk.toByteArray()), Callback.from(() -> {
                    writing = false;
                    wroteNanos = System.nanoTime();
                    executor.execute(this::pump);
                }, this::end));
            } catch (RuntimeException e) {
                LOG.error("event stream", e);
                end(e);
            }
        }

        /** Goes to rest unless something came meanwhile. */
        private synchronized boolean sleep() {
            if (again && !ended) {
                again = false;
                return false;
            }
            busy = false;
            return true;
        }

        /** Puts together what is to be written next; false if there is nothing. */
        private boolean collect(ByteArrayOutputStream chunk) {
            synchronized (this) {
                if (ended) {
                    again = false;
                    return false;
                }
                while (!live.isEmpty()) {
                    chunk.writeBytes(live.removeFirst());
                }
            }
            long before;
            do {
                before = cursor.position();
                for (Cursor.Item item : cursor.next(CHUNK_BYTES)) {
                    if (item instanceof Cursor.Gap gap) {
                        chunk.writeBytes(gap(gap));
                    } else if (item instanceof Cursor.Event event && wanted(event.entry())) {
                        Entry entry = event.entry();
                        chunk.writeBytes(event(journal.id() + "-" + entry.sequence(), entry.type(), entry.data()));
                    }
                }
            } while (cursor.position() > before && chunk.size() == 0);
            synchronized (this) {
                if (commentDue && chunk.size() == 0) {
                    chunk.writeBytes((": " + journal.id() + "-" + journal.last() + "\n\n")
                            .getBytes(StandardCharsets.UTF_8));
                }
                commentDue = false;
            }
            return chunk.size() > 0;
        }

        private boolean wanted(Entry entry) {
            return endpoint == null || endpoint.equals(entry.endpoint());
        }

        void end(Throwable cause) {
            synchronized (this) {
                if (ended) {
                    return;
                }
                ended = true;
            }
            streams.remove(this);
            events.removeLiveListener(this);
            if (cause == null) {
                call.callback.succeeded();
            } else {
                call.callback.failed(cause);
            }
        }
    }

    private byte[] gap(Cursor.Gap gap) {
        LOG.warn("a listener of the event stream misses events of journal {} from {} to {}: {}",
                LogText.of(gap.journal()), gap.from(), gap.to(), gap.reason());
        return event(journal.id() + "-" + gap.resume(), "GAP", Json.bytes(json -> {
            json.writeStartObject();
            json.writeStringField("journal", gap.journal());
            json.writeObjectField("from", gap.from());
            json.writeObjectField("to", gap.to());
            json.writeStringField("reason", gap.reason());
            json.writeEndObject();
        }));
    }

    private static byte[] event(String id, String type, byte[] data) {
        ByteArrayOutputStream event = new ByteArrayOutputStream(data.length + 96);
        if (id != null) {
            event.writeBytes(("id: " + id + "\n").getBytes(StandardCharsets.US_ASCII));
        }
        event.writeBytes(("event: " + type + "\ndata: ").getBytes(StandardCharsets.US_ASCII));
        event.writeBytes(data);
        event.writeBytes(new byte[] { '\n', '\n' });
        return event.toByteArray();
    }
}
