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

        /** Whether events about that device are wanted; decides whether they are made at all. */
        boolean wants(String endpoint);

        /** @param data JSON in UTF-8 */
        void live(String type, String endpoint, byte[] data);
    }

    private final Journal journal;
    private final List<LiveListener> liveListeners = new CopyOnWriteArrayList<>();

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
        LOG.info("{} {} {}", type, LogText.of(endpoint), LogText.of(detail));
        journal.append(type, endpoint == null ? "" : endpoint, Json.bytes(data), committed);
    }

    /** Journals an event that has been logged already. */
    public void publishQuietly(String type, String endpoint, Json.Writer data) {
        journal.append(type, endpoint == null ? "" : endpoint, Json.bytes(data), null);
    }

    /** Whether events whose sender will repeat them should be refused for now. */
    public boolean overloaded() {
        return journal.overloaded();
    }

    /** Whether anybody wants any live events at all. */
    public boolean liveWanted() {
        return !liveListeners.isEmpty();
    }

    /** Whether anybody wants live events about that device. */
    public boolean liveWanted(String endpoint) {
        for (LiveListener listener : liveListeners) {
            if (listener.wants(endpoint)) {
                return true;
            }
        }
        return false;
    }

    /** Gives an event to the present listeners only. */
    public void publishLive(String type, String endpoint, Json.Writer data) {
        byte[] bytes = Json.bytes(data);
        for (LiveListener listener : liveListeners) {
            if (listener.wants(endpoint)) {
                listener.live(type, endpoint, bytes);
            }
        }
    }

    public void addLiveListener(LiveListener listener) {
        liveListeners.add(listener);
    }

    public void removeLiveListener(LiveListener listener) {
        liveListeners.remove(listener);
    }
}
