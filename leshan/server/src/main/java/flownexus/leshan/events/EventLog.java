package flownexus.leshan.events;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.journal.Journal;
import flownexus.leshan.json.Json;

/**
 * Where all events pass: into the journal, or (live ones) straight to whoever listens now. Nothing here blocks, so protocol
 * threads may call it.
 */
public final class EventLog {

    private static final Logger LOG = LoggerFactory.getLogger("flownexus.events");

    /** Receives live events: those without an id, which only present listeners get. */
    public interface LiveListener {

        /** Whether events about that device are wanted. */
        boolean wants(String endpoint);

        /** Whether the trace of those devices' messages is wanted too; must not change. */
        boolean traces();

        /** @param data JSON in UTF-8 */
        void live(String type, String endpoint, byte[] data);
    }

    private final Journal journal;
    private final List<LiveListener> liveListeners = new CopyOnWriteArrayList<>();
    private final List<LiveListener> tracers = new CopyOnWriteArrayList<>();

    public EventLog(Journal journal) {
        this.journal = journal;
    }

    public Journal journal() {
        return journal;
    }

    /**
     * Journals an event and logs it.
     *
     * @param type its name
     * @param endpoint the device; may be null where it is unknown
     * @param detail for the log line; may be empty
     * @param data its JSON
     */
    public void publish(String type, String endpoint, String detail, Json.Writer data) {
        publish(type, endpoint, detail, data, null);
    }

    /**
     * As above, and tells when it is on disk.
     *
     * @param committed see {@link Journal#append}; may be null
     */
    public void publish(String type, String endpoint, String detail, Json.Writer data, Runnable committed) {
        publish(type, endpoint, detail, Json.bytes(data), committed);
    }

    /** As above, with the JSON in UTF-8. */
    public void publish(String type, String endpoint, String detail, byte[] data, Runnable committed) {
        LOG.info("{} {} {}", type, LogText.of(endpoint), LogText.of(detail));
        journal.append(type, endpoint == null ? "" : endpoint, data, committed);
    }

    /** Journals an event that has been logged already. */
    public void publishQuietly(String type, String endpoint, Json.Writer data) {
        journal.append(type, endpoint == null ? "" : endpoint, Json.bytes(data), null);
    }

    /** Whether events whose sender will repeat them should be refused for now. */
    public boolean overloaded() {
        return journal.overloaded();
    }

    /** Whether anybody traces any device at all. */
    public boolean traceWanted() {
        return !tracers.isEmpty();
    }

    /** Whether anybody traces that device; decides whether its trace is made at all. */
    public boolean traceWanted(String endpoint) {
        return tracers.stream().anyMatch(listener -> listener.wants(endpoint));
    }

    /** Gives an event to the present listeners only. */
    public void publishLive(String type, String endpoint, Json.Writer data) {
        give(liveListeners, type, endpoint, data);
    }

    /** Gives an event to those only who trace the device now. */
    public void publishTrace(String type, String endpoint, Json.Writer data) {
        give(tracers, type, endpoint, data);
    }

    private static void give(List<LiveListener> listeners, String type, String endpoint, Json.Writer data) {
        byte[] bytes = null;
        for (LiveListener listener : listeners) {
            if (listener.wants(endpoint)) {
                bytes = bytes == null ? Json.bytes(data) : bytes;
                listener.live(type, endpoint, bytes);
            }
        }
    }

    public void addLiveListener(LiveListener listener) {
        liveListeners.add(listener);
        if (listener.traces()) {
            tracers.add(listener);
        }
    }

    public void removeLiveListener(LiveListener listener) {
        liveListeners.remove(listener);
        tracers.remove(listener);
    }
}
