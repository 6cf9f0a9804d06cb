package flownexus.leshan.requests;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import flownexus.leshan.journal.Entry;
import flownexus.leshan.journal.Journal;

/**
 * What was asked and how it ended, on disk: a journal of its own, whose entries name the request's id where an event names
 * its device. In memory are only the places of the ends.
 */
public final class RequestStore implements Closeable {

    private static final Duration KEPT = Duration.ofDays(7);
    /** Against a flood only: about half a million requests. */
    private static final long MAX_BYTES = 256L << 20;
    private static final int READ_BYTES = 1 << 20;
    private static final String ACCEPTED = "ACCEPTED";
    private static final String ENDED = "ENDED";

    private final Journal journal;
    /** Ends that are on disk: the sequence of each. */
    private final Map<String, Long> ended = new ConcurrentHashMap<>();
    /** Ends that are not on disk yet. */
    private final Map<String, byte[]> ending = new ConcurrentHashMap<>();
    private final Map<String, byte[]> unanswered = new LinkedHashMap<>();
    /** Up to where the journal is known; after the start used by the journal's writer only. */
    private long known;
    private long first = 1;

    /**
     * Opens the store in a folder, or begins one.
     *
     * @throws IOException if the folder cannot be written
     */
    public RequestStore(Path folder) throws IOException {
        journal = Journal.open(folder, MAX_BYTES, KEPT);
        for (List<Entry> entries = read(); !entries.isEmpty(); entries = read()) {
            for (Entry entry : entries) {
                if (entry.type().equals(ACCEPTED)) {
                    unanswered.put(entry.endpoint(), entry.data());
                } else {
                    unanswered.remove(entry.endpoint());
                    ended.put(entry.endpoint(), entry.sequence());
                }
            }
        }
        first = journal.first();
        journal.addListener(this::committed);
    }

    private List<Entry> read() {
        List<Entry> entries = journal.read(known, READ_BYTES);
        if (!entries.isEmpty()) {
            known = entries.get(entries.size() - 1).sequence();
        }
        return entries;
    }

    private void committed() {
        for (List<Entry> entries = read(); !entries.isEmpty(); entries = read()) {
            for (Entry entry : entries) {
                if (entry.type().equals(ENDED)) {
                    ended.put(entry.endpoint(), entry.sequence());
                    ending.remove(entry.endpoint());
                }
            }
        }
        if (journal.first() > first) {
            first = journal.first();
            ended.values().removeIf(sequence -> sequence < first);
        }
    }

    /** What was accepted and not ended when the store was opened: what was given to {@link #accept}, by id. */
    Map<String, byte[]> unanswered() {
        return Map.copyOf(unanswered);
    }

    /** Whether the disk takes nothing. */
    boolean overloaded() {
        return journal.overloaded();
    }

    /** @param committed runs when it is on disk; see {@link Journal#append} */
    void accept(String id, byte[] record, Runnable committed) {
        journal.append(ACCEPTED, id, record, committed);
    }

    /** Notes an end, which {@link #find} finds from now on. */
    void end(String id, byte[] record) {
        ending.put(id, record);
        journal.append(ENDED, id, record, null);
    }

    /** The record of a request that has ended, or null. */
    byte[] find(String id) {
        byte[] record = ending.get(id);
        if (record != null) {
            return record;
        }
        Long sequence = ended.get(id);
        if (sequence == null) {
            return null;
        }
        List<Entry> entries = journal.read(sequence - 1, 1);
        // none, or a later one, if it was dropped meanwhile
        return entries.isEmpty() || !entries.get(0).endpoint().equals(id) ? null : entries.get(0).data();
    }

    @Override
    public void close() throws IOException {
        journal.close();
    }
}
