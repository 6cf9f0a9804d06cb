package flownexus.leshan.journal;

import java.util.ArrayList;
import java.util.List;

/**
 * A reader's place in a journal. It says what the reader can never have; not for use by several threads at once.
 */
public final class Cursor {

    /** What a reader gets: an event of the journal, or word of a gap. */
    public sealed interface Item permits Event, Gap {
    }

    public record Event(Entry entry) implements Item {
    }

    /**
     * Events that the reader will never get.
     *
     * @param journal the journal they belong to, as the reader named it
     * @param from the first of them, or null if unknown
     * @param to the last of them, or null if unknown
     * @param reason truncated, ahead or other-journal
     * @param resume the sequence in the present journal after which the reader goes on
     */
    public record Gap(String journal, Long from, Long to, String reason, long resume) implements Item {
    }

    private final Journal journal;
    private Gap pending;
    private long position;

    private Cursor(Journal journal, long position, Gap pending) {
        this.journal = journal;
        this.position = position;
        this.pending = pending;
    }

    /** Starts with what is committed from now on. */
    public static Cursor live(Journal journal) {
        return new Cursor(journal, journal.last(), null);
    }

    /**
     * Resumes after the event with that id.
     *
     * @param lastEventId {@code <journal>-<sequence>}; one that does not parse counts as another journal's
     */
    public static Cursor after(Journal journal, String lastEventId) {
        int dash = lastEventId.lastIndexOf('-');
        String name = dash < 0 ? lastEventId : lastEventId.substring(0, dash);
        Long sequence = null;
        try {
            sequence = Long.valueOf(lastEventId.substring(dash + 1));
        } catch (NumberFormatException e) {
            name = lastEventId;
        }
        if (sequence == null || sequence < 0 || !name.equals(journal.id())) {
            Long from = sequence == null || sequence < 0 ? null : Long.valueOf(sequence + 1);
            return new Cursor(journal, 0, new Gap(name, from, null, "other-journal", 0));
        }
        long last = journal.last();
        if (sequence > last) {
            return new Cursor(journal, last, new Gap(name, last + 1, sequence, "ahead", last));
        }
        return new Cursor(journal, sequence, null);
    }

    public long position() {
        return position;
    }

    /** What comes next, up to about {@code maxBytes} of it; empty if the reader has all. */
    public List<Item> next(int maxBytes) {
        List<Item> items = new ArrayList<>();
        if (pending != null) {
            items.add(pending);
            pending = null;
        }
        for (Entry entry : journal.read(position, maxBytes)) {
            if (entry.sequence() > position + 1) {
                long lost = entry.sequence() - 1;
                items.add(new Gap(journal.id(), position + 1, lost, "truncated", lost));
            }
            items.add(new Event(entry));
            position = entry.sequence();
        }
        return items;
    }
}
