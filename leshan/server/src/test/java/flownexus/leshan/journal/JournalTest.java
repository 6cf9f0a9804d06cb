package flownexus.leshan.journal;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.LongStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class JournalTest {

    private static final long MEBIBYTE = 1 << 20;

    @TempDir
    Path temporary;

    private Path folder() {
        return temporary.resolve("journal");
    }

    @Test
    void keepsEventsAndItsIdOverARestart() throws Exception {
        String id;
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            id = journal.id();
            assertEquals(16, id.length());
            assertEquals(0, journal.last());
            append(journal, 3);
        }
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            assertEquals(id, journal.id());
            assertEquals(3, journal.last());
            append(journal, 2);
            List<Entry> entries = all(journal, 0);
            assertEquals(List.of(1L, 2L, 3L, 4L, 5L), entries.stream().map(Entry::sequence).toList());
            assertEquals("SEND", entries.get(3).type());
            assertEquals("déjà \"vu\"", entries.get(3).endpoint());
            assertArrayEquals("{\"n\":0}".getBytes(StandardCharsets.UTF_8), entries.get(3).data());
        }
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(folder())));
        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(files().get(0))));
    }

    @Test
    void saysThatAnEventIsCommittedOnlyWhenAnotherProcessWouldFindIt() throws Exception {
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            CountDownLatch committed = new CountDownLatch(1);
            List<Integer> found = new ArrayList<>();
            journal.append("SEND", "a", new byte[] { '1' }, () -> {
                found.add(copyAndCount());
                committed.countDown();
            });
            assertTrue(committed.await(10, TimeUnit.SECONDS));
            assertEquals(List.of(1), found);
        }
    }

    @Test
    void writesNothingTwiceWhenAnOldFileCannotBeDeleted() throws Exception {
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            append(journal, 1);
            Path oldest = files().get(0);
            for (int index = 0; index < 32; index++) {
                CountDownLatch committed = new CountDownLatch(1);
                journal.append("SEND", "a", new byte[60_000], committed::countDown);
                assertTrue(committed.await(10, TimeUnit.SECONDS));
                if (index == 5) {
                    Files.delete(oldest);
                    Files.createDirectories(oldest.resolve("cannot be deleted"));
                }
            }
            assertEquals(33, journal.last());
            assertEquals(1, journal.first(), "what is on disk has no hole, or the next start could not use it");

            Files.delete(oldest.resolve("cannot be deleted"));
            append(journal, 1);
            eventually("the bound holds again", () -> journal.first() > 1);
        }
    }

    @Test
    void cutsOffATornTailAndGoesOnAfterTheLastWholeEvent() throws Exception {
        String id;
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            id = journal.id();
            append(journal, 2);
        }
        byte[] whole = Files.readAllBytes(files().get(0));
        for (int torn : new int[] { 1, Segment.BATCH_HEADER_BYTES, Segment.BATCH_HEADER_BYTES + 3 }) {
            byte[] next = Segment.batch(3, List.of(Entry.encode("SEND", "a", new byte[50]))).array();
            Files.write(files().get(0), whole);
            Files.write(files().get(0), Arrays.copyOf(next, torn), StandardOpenOption.APPEND);
            try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
                assertEquals(id, journal.id(), "torn after " + torn);
                assertEquals(2, journal.last());
                assertEquals(whole.length, Files.size(files().get(0)));
                append(journal, 1);
                assertEquals(3, all(journal, 0).size());
            }
        }
    }

    @Test
    void setsAJournalAsideThatIsDamagedWhereNoCrashCanDamageIt() throws Exception {
        String id;
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            id = journal.id();
            append(journal, 5);
        }
        byte[] content = Files.readAllBytes(files().get(0));
        content[Segment.HEADER_BYTES + Segment.BATCH_HEADER_BYTES + 4] ^= 1;
        Files.write(files().get(0), content);

        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            assertNotEquals(id, journal.id());
            assertEquals(0, journal.last());
            append(journal, 1);
            assertEquals(1, journal.last());
        }
        try (Stream<Path> beside = Files.list(temporary)) {
            assertEquals(1, beside.filter(path -> path.toString().contains("unreadable")).count());
        }
    }

    @Test
    void beginsAnewWhereTheHeaderOfTheFirstFileWasNeverFinished() throws Exception {
        Files.createDirectories(folder());
        Files.write(Segment.fileName(folder(), 1), new byte[7]);
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            append(journal, 1);
            assertEquals(1, journal.last());
        }
    }

    @Test
    void dropsTheOldestToStayWithinItsBound() throws Exception {
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            for (int round = 0; round < 40; round++) {
                append(journal, 20, 4000);
            }
            long bytes = files().stream().mapToLong(file -> file.toFile().length()).sum();
            assertTrue(bytes <= MEBIBYTE + 200_000, () -> bytes + " bytes");
        }
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            long first = journal.first();
            assertTrue(first > 1 && first < journal.last(), () -> "first is " + first);
            assertEquals(800, journal.last());
            assertEquals(LongStream.rangeClosed(first, 800).boxed().toList(),
                    all(journal, 0).stream().map(Entry::sequence).toList());

            Cursor cursor = Cursor.after(journal, journal.id() + "-1");
            List<Cursor.Item> items = cursor.next(1);
            assertEquals(new Cursor.Gap(journal.id(), 2L, first - 1, "truncated", first - 1), items.get(0));
            assertEquals(first, ((Cursor.Event) items.get(1)).entry().sequence());
        }
    }

    @Test
    void tellsAReaderWhatItWillNeverGet() throws Exception {
        try (Journal journal = Journal.open(folder(), MEBIBYTE)) {
            append(journal, 3);

            List<Cursor.Item> ahead = Cursor.after(journal, journal.id() + "-10").next(1000);
            assertEquals(List.of(new Cursor.Gap(journal.id(), 4L, 10L, "ahead", 3)), ahead);

            List<Cursor.Item> other = Cursor.after(journal, "0123456789abcdef-7").next(1000);
            assertEquals(new Cursor.Gap("0123456789abcdef", 8L, null, "other-journal", 0), other.get(0));
            assertEquals(4, other.size(), "all of the new journal is new to it");

            assertEquals("other-journal", ((Cursor.Gap) Cursor.after(journal, "rubbish").next(1000).get(0)).reason());
            assertEquals(1, Cursor.after(journal, journal.id() + "-2").next(1000).size());
            assertEquals(List.of(), Cursor.after(journal, journal.id() + "-3").next(1000));
            assertEquals(List.of(), Cursor.live(journal).next(1000));
        }
    }

    @Test
    void servesReadersOfAllSpeedsWhileItIsWritten() throws Exception {
        int events = 30_000;
        ExecutorService readers = Executors.newFixedThreadPool(3);
        try (Journal journal = Journal.open(folder(), 64 * MEBIBYTE)) {
            Cursor stalled = Cursor.after(journal, journal.id() + "-0");
            List<Future<Long>> followers = new ArrayList<>();
            for (int reader = 0; reader < 3; reader++) {
                Cursor cursor = Cursor.after(journal, journal.id() + "-0");
                int chunk = 1000 << reader * 4;
                followers.add(readers.submit(() -> follow(journal, cursor, events, chunk)));
            }
            AtomicLong committed = new AtomicLong();
            for (int event = 0; event < events; event++) {
                journal.append("SEND", "a", new byte[100 + event % 400], committed::incrementAndGet);
            }
            eventually("all is committed", () -> committed.get() == events);
            for (Future<Long> follower : followers) {
                assertEquals(events, follower.get(30, TimeUnit.SECONDS));
            }
            assertEquals(events, follow(journal, stalled, events, 1 << 20), "one that read nothing until now");
        } finally {
            readers.shutdownNow();
        }
    }

    @Test
    void commitsWhatWasHandedOverBeforeItIsClosed() throws Exception {
        try (Journal journal = Journal.open(folder(), 16 * MEBIBYTE)) {
            for (int event = 0; event < 5000; event++) {
                journal.append("SEND", "a", new byte[100], null);
            }
        }
        try (Journal journal = Journal.open(folder(), 16 * MEBIBYTE)) {
            assertEquals(5000, journal.last());
            assertFalse(journal.overloaded());
        }
    }

    /** Reads until it has so many events, checking that none is missing; returns the last sequence. */
    private static long follow(Journal journal, Cursor cursor, int events, int chunk) {
        while (cursor.position() < events) {
            long before = cursor.position();
            for (Cursor.Item item : cursor.next(chunk)) {
                assertTrue(item instanceof Cursor.Event, () -> "unexpected " + item);
                assertEquals(++before, ((Cursor.Event) item).entry().sequence());
            }
            assertTrue(cursor.position() <= journal.last());
            Thread.onSpinWait();
        }
        return cursor.position();
    }

    private static void append(Journal journal, int count) {
        append(journal, count, -1);
    }

    private static void append(Journal journal, int count, int bytes) {
        long wanted = journal.last() + count;
        for (int index = 0; index < count; index++) {
            byte[] data = bytes < 0 ? ("{\"n\":" + index + "}").getBytes(StandardCharsets.UTF_8) : new byte[bytes];
            long next = journal.last() + 1;
            journal.append("SEND", "déjà \"vu\"", data, null);
            if (bytes < 0) {
                eventually("committed", () -> journal.last() >= next);
            }
        }
        eventually("committed", () -> journal.last() == wanted);
    }

    private static List<Entry> all(Journal journal, long after) {
        List<Entry> entries = new ArrayList<>();
        long from = after;
        while (true) {
            List<Entry> next = journal.read(from, 1000);
            if (next.isEmpty()) {
                return entries;
            }
            entries.addAll(next);
            from = next.get(next.size() - 1).sequence();
        }
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(folder())) {
            return files.sorted().toList();
        }
    }

    /** How many events a process finds that starts with the files as they are now. */
    private int copyAndCount() {
        try {
            Path copy = Files.createDirectory(temporary.resolve("copy"));
            for (Path file : files()) {
                Files.copy(file, copy.resolve(file.getFileName()));
            }
            try (Journal journal = Journal.open(copy, MEBIBYTE)) {
                return (int) journal.last();
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
