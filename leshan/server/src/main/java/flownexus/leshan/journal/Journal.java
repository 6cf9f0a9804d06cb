package flownexus.leshan.journal;

import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An append-only log of events on disk, bounded by size, for any number of readers.
 * <p>
 * Appending hands over to one writer thread and returns. The writer collects what arrives within a few milliseconds, writes
 * and syncs it, and only then makes it readable and runs the callbacks: what a reader has seen survives a kill. Sequences
 * are consecutive within a journal; a journal that cannot be read is set aside and a new one with another id begun.
 */
public final class Journal implements Closeable {

    private static final Logger LOG = LoggerFactory.getLogger(Journal.class);

    private static final long COMMIT_INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(5);
    private static final int MAX_BATCH_BYTES = 1 << 20;
    private static final int MAX_SEGMENT_BYTES = 16 << 20;
    private static final int TAIL_BYTES = 4 << 20;
    private static final int TAIL_ENTRIES = 1 << 14;
    private static final long MAX_BACKLOG_BYTES = 64L << 20;
    private static final long RETRY_MILLIS = 500;
    private static final String SUFFIX = ".journal";

    private record Pending(String type, String endpoint, byte[] data, byte[] encoded, Runnable committed) {
    }

    private final Path folder;
    private final long maxBytes;
    private final Duration maxAge;
    private final long segmentBytes;
    private final String id;
    private final NavigableMap<Long, Segment> segments = new TreeMap<>();

    private final ReentrantLock queueLock = new ReentrantLock();
    private final Condition queued = queueLock.newCondition();
    private final Deque<Pending> queue = new ArrayDeque<>();
    private long queueBytes;
    private boolean closed;

    /** The newest entries, each at its sequence modulo the length; guarded by itself, as are its two bounds. */
    private final Entry[] tail = new Entry[TAIL_ENTRIES];
    private long tailFirst;
    private long tailBytes;

    private final List<Runnable> listeners = new CopyOnWriteArrayList<>();
    private final Thread writer;
    private volatile long last;
    private FileChannel channel;
    /** Whether that has been complained of. */
    private boolean undeletable;

    /**
     * Opens the journal in a folder, or begins one.
     *
     * @param folder created if it is not there
     * @param maxBytes the bound of all its files together; the oldest go first
     * @throws IOException if the folder cannot be written
     */
    public static Journal open(Path folder, long maxBytes) throws IOException {
        return open(folder, maxBytes, null);
    }

    /**
     * As above, and what has become too old goes too.
     *
     * @param maxAge how long an entry is kept at least, as long as the size allows; a file goes as a whole, and the newest
     *        stays. Null for ever
     */
    public static Journal open(Path folder, long maxBytes, Duration maxAge) throws IOException {
        Files.createDirectories(folder,
                PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        NavigableMap<Long, Segment> segments;
        try {
            segments = recover(folder);
        } catch (Segment.CorruptException e) {
            Path aside = folder.resolveSibling(folder.getFileName() + ".unreadable-"
                    + DateTimeFormatter.ofPattern("yyyyMMdd-HHmmss-SSS").format(ZonedDateTime.now(ZoneOffset.UTC)));
            Files.move(folder, aside);
            Files.createDirectory(folder,
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            LOG.error("the journal cannot be read ({}): set aside as {}, a new one begins", e.getMessage(), aside);
            segments = new TreeMap<>();
        }
        return new Journal(folder, maxBytes, maxAge, segments);
    }

    private static NavigableMap<Long, Segment> recover(Path folder) throws IOException {
        List<Path> files;
        try (Stream<Path> listed = Files.list(folder)) {
            files = listed.filter(file -> file.toString().endsWith(SUFFIX)).sorted().toList();
        }
        NavigableMap<Long, Segment> segments = new TreeMap<>();
        for (int index = 0; index < files.size(); index++) {
            Path file = files.get(index);
            Segment segment = Segment.recover(file, index == files.size() - 1);
            if (segment == null) {
                Files.delete(file);
                continue;
            }
            Segment before = segments.isEmpty() ? null : segments.lastEntry().getValue();
            if (before != null && (before.last() + 1 != segment.first || !before.journalId.equals(segment.journalId))) {
                throw new Segment.CorruptException(file.getFileName() + " does not follow the file before it");
            }
            segments.put(segment.first, segment);
        }
        return segments;
    }

    private Journal(Path folder, long maxBytes, Duration maxAge, NavigableMap<Long, Segment> recovered)
            throws IOException {
        this.folder = folder;
        this.maxBytes = maxBytes;
        this.maxAge = maxAge;
        this.segmentBytes = Math.max(16 << 10, Math.min(MAX_SEGMENT_BYTES, maxBytes / 8));
        segments.putAll(recovered);
        if (segments.isEmpty()) {
            byte[] random = new byte[Segment.ID_LENGTH / 2];
            new SecureRandom().nextBytes(random);
            id = HexFormat.of().formatHex(random);
            segments.put(1L, Segment.create(folder, id, 1));
        } else {
            id = segments.firstEntry().getValue().journalId;
        }
        Segment newest = segments.lastEntry().getValue();
        last = newest.last();
        tailFirst = last + 1;
        channel = FileChannel.open(newest.file, StandardOpenOption.WRITE);
        // what a killed process had written but not yet synced becomes readable now: sync it first
        channel.force(true);
        dropOldest();
        writer = new Thread(this::run, "journal");
        writer.start();
    }

    /** What names this journal: 16 hexadecimal digits. */
    public String id() {
        return id;
    }

    /** The newest committed sequence; 0 if there is none. */
    public long last() {
        return last;
    }

    /** The oldest sequence that can still be read; {@code last() + 1} if there is none. */
    public long first() {
        synchronized (segments) {
            return segments.firstEntry().getValue().first;
        }
    }

    /**
     * Hands an event over; never blocks.
     *
     * @param committed runs on the writer's thread once the event is on disk: short, must not block; may be null. It never
     *        runs if the process ends before
     */
    public void append(String type, String endpoint, byte[] data, Runnable committed) {
        Pending pending = new Pending(type, endpoint, data, Entry.encode(type, endpoint, data), committed);
        queueLock.lock();
        try {
            if (closed) {
                return;
            }
            queue.add(pending);
            queueBytes += pending.encoded.length;
            queued.signal();
        } finally {
            queueLock.unlock();
        }
    }

    /**
     * Whether so much waits for the disk that whoever can refuse an event (because its sender will repeat it) should do so.
     */
    public boolean overloaded() {
        queueLock.lock();
        try {
            return queueBytes > MAX_BACKLOG_BYTES;
        } finally {
            queueLock.unlock();
        }
    }

    /** Adds what is to run after every commit, on the writer's thread: it must be short and must not block. */
    public void addListener(Runnable listener) {
        listeners.add(listener);
    }

    public void removeListener(Runnable listener) {
        listeners.remove(listener);
    }

    /**
     * Committed entries after a sequence, in order.
     *
     * @param maxBytes about how much to return; at least one entry if there is any
     * @return entries; the first one's sequence is greater than {@code after + 1} if those between can no longer be read
     */
    public List<Entry> read(long after, int maxBytes) {
        synchronized (tail) {
            if (after >= last) {
                return List.of();
            }
            if (tailFirst <= after + 1) {
                List<Entry> entries = new ArrayList<>();
                int bytes = 0;
                for (long sequence = after + 1; sequence <= last && bytes < maxBytes; sequence++) {
                    Entry entry = tail[(int) (sequence % TAIL_ENTRIES)];
                    entries.add(entry);
                    bytes += entry.size();
                }
                return entries;
            }
        }
        return readFromDisk(after, maxBytes);
    }

    private List<Entry> readFromDisk(long after, int maxBytes) {
        long from = after;
        while (from < last) {
            Segment segment;
            synchronized (segments) {
                Map.Entry<Long, Segment> place = segments.floorEntry(from + 1);
                segment = (place == null ? segments.firstEntry() : place).getValue();
            }
            from = Math.max(from, segment.first - 1);
            try {
                List<Entry> entries = segment.read(from, maxBytes);
                if (!entries.isEmpty()) {
                    return entries;
                }
            } catch (IOException e) {
                if (Files.exists(segment.file)) {
                    LOG.error("a part of the journal cannot be read, its events are lost: {}", e.getMessage());
                } else {
                    continue;  // dropped meanwhile: look again
                }
            }
            from = segment.last();
        }
        return List.of();
    }

    private void run() {
        long committedAt = System.nanoTime() - COMMIT_INTERVAL_NANOS;
        List<Pending> batch = new ArrayList<>();
        while (next(batch, committedAt)) {
            if (!commit(batch)) {
                return;
            }
            committedAt = System.nanoTime();
            for (Pending pending : batch) {
                if (pending.committed != null) {
                    runSafely(pending.committed);
                }
            }
            listeners.forEach(Journal::runSafely);
            batch.clear();
        }
    }

    private static void runSafely(Runnable callback) {
        try {
            callback.run();
        } catch (RuntimeException e) {
            LOG.error("after a commit", e);
        }
    }

    /** Waits for events, then until the last commit is old enough; false when closed and empty. */
    private boolean next(List<Pending> batch, long committedAt) {
        queueLock.lock();
        try {
            while (queue.isEmpty()) {
                if (closed) {
                    return false;
                }
                queued.awaitUninterruptibly();
            }
            long wait = committedAt + COMMIT_INTERVAL_NANOS - System.nanoTime();
            while (wait > 0 && !closed && queueBytes < MAX_BATCH_BYTES) {
                try {
                    wait = queued.awaitNanos(wait);
                } catch (InterruptedException e) {
                    break;
                }
            }
            long bytes = 0;
            while (!queue.isEmpty() && (batch.isEmpty() || bytes < MAX_BATCH_BYTES)) {
                Pending pending = queue.remove();
                bytes += pending.encoded.length;
                batch.add(pending);
            }
            queueBytes -= bytes;
            return true;
        } finally {
            queueLock.unlock();
        }
    }

    /** Writes until it succeeds, so that a full disk delays events and loses none; false if closed meanwhile. */
    private boolean commit(List<Pending> batch) {
        boolean complained = false;
        while (true) {
            try {
                write(batch);
                if (complained) {
                    LOG.warn("the journal can be written again");
                }
                return true;
            } catch (IOException e) {
                if (!complained) {
                    LOG.error("the journal cannot be written, events wait: {}", e.toString());
                    complained = true;
                }
            }
            queueLock.lock();
            try {
                if (closed) {
                    LOG.error("{} events could not be written to the journal", batch.size() + queue.size());
                    return false;
                }
                queued.await(RETRY_MILLIS, TimeUnit.MILLISECONDS);
            } catch (InterruptedException e) {
                LOG.debug("interrupted while waiting to write again");
            } finally {
                queueLock.unlock();
            }
        }
    }

    private void write(List<Pending> batch) throws IOException {
        Segment segment = segments.lastEntry().getValue();
        if (segment.end() >= segmentBytes) {
            segment = roll(segment);
        }
        long offset = segment.end();
        ByteBuffer buffer = Segment.batch(last + 1, batch.stream().map(Pending::encoded).toList());
        int length = buffer.remaining();
        try {
            Segment.writeFully(channel, buffer, offset);
            channel.force(false);
        } catch (IOException e) {
            channel.truncate(offset);
            throw e;
        }
        segment.committed(offset, batch.size(), length);
        synchronized (tail) {
            for (Pending pending : batch) {
                Entry entry = new Entry(last + 1, pending.type, pending.endpoint, pending.data);
                if (entry.sequence() - tailFirst >= TAIL_ENTRIES) {
                    dropFromTail();
                }
                last = entry.sequence();
                tail[(int) (last % TAIL_ENTRIES)] = entry;
                tailBytes += entry.size();
            }
            while (tailBytes > TAIL_BYTES && tailFirst < last) {
                dropFromTail();
            }
        }
        dropOldest();
    }

    private void dropFromTail() {
        int place = (int) (tailFirst % TAIL_ENTRIES);
        tailBytes -= tail[place].size();
        tail[place] = null;
        tailFirst++;
    }

    private Segment roll(Segment full) throws IOException {
        Segment next = Segment.create(folder, id, full.last() + 1);
        FileChannel opened = FileChannel.open(next.file, StandardOpenOption.WRITE);
        channel.close();
        channel = opened;
        synchronized (segments) {
            segments.put(next.first, next);
        }
        return next;
    }

    /** What cannot be deleted is tried again after the next batch: the one before is committed, and must not be repeated. */
    private void dropOldest() {
        while (true) {
            Segment oldest;
            synchronized (segments) {
                long bytes = segments.values().stream().mapToLong(Segment::end).sum();
                if (segments.size() < 2 || bytes <= maxBytes && !isTooOld(segments.firstEntry().getValue())) {
                    return;
                }
                oldest = segments.pollFirstEntry().getValue();
            }
            try {
                Files.deleteIfExists(oldest.file);
                undeletable = false;
            } catch (IOException e) {
                synchronized (segments) {
                    segments.put(oldest.first, oldest);
                }
                if (!undeletable) {
                    LOG.error("the journal grows beyond its bound, its oldest file cannot be deleted: {}", e.toString());
                    undeletable = true;
                }
                return;
            }
        }
    }

    /** By the time of its last entry, which is when the file was last written. */
    private boolean isTooOld(Segment segment) {
        try {
            return maxAge != null
                    && Files.getLastModifiedTime(segment.file).toInstant().isBefore(Instant.now().minus(maxAge));
        } catch (IOException e) {
            LOG.debug("the age of {} is unknown", segment.file, e);
            return false;
        }
    }

    /** Commits what was handed over so far and stops; later events are dropped. */
    @Override
    public void close() throws IOException {
        queueLock.lock();
        try {
            closed = true;
            queued.signalAll();
        } finally {
            queueLock.unlock();
        }
        try {
            writer.join(TimeUnit.SECONDS.toMillis(2));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        channel.close();
    }
}
