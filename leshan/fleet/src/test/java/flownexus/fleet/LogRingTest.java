package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeSet;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LogRingTest {

    private final List<Long> kept = new ArrayList<>();
    private final List<Long> givenUp = new ArrayList<>();
    private long now = 1000;

    private LogRing ring(int lines, int bytes) {
        LogRing ring = new LogRing(lines, bytes, 480, 4, () -> now, new LogRing.Listener() {
            @Override
            public void kept(int boot, LogLine line) {
                kept.add(line.sequence());
            }

            @Override
            public void givenUp(int boot, LogLine line) {
                givenUp.add(line.sequence());
            }
        });
        ring.restart(77);
        return ring;
    }

    private static void fill(LogRing ring, int lines) {
        for (int i = 0; i < lines; i++) {
            assertTrue(ring.append(LogSeverity.INFO, "m", "line"));
        }
    }

    private static LogMessageTest.Read read(LogRing.Batch batch) {
        return LogMessageTest.read(batch.message());
    }

    @Test
    void aBatchLeavesWithItsAcknowledgement() {
        LogRing ring = ring(100, 10_000);
        assertNull(ring.take());
        now += 5;
        ring.append(LogSeverity.INFO, "net", "one");
        now += 300;
        ring.append(LogSeverity.ERROR, "", "two");
        now += 10;
        LogRing.Batch batch = ring.take();
        LogMessageTest.Read message = read(batch);
        assertEquals(77, message.boot());
        assertEquals(0, message.first());
        assertEquals(0, message.lost());
        assertEquals(315, message.uptime());
        assertEquals(List.of(5L, 305L), message.lines().stream().map(LogLine::uptime).toList());
        assertNull(ring.take(), "one at a time");
        ring.append(LogSeverity.INFO, "net", "three");
        ring.failed(batch);
        assertEquals(List.of("one", "two", "three"),
                read(ring.take()).lines().stream().map(LogLine::lineText).toList());
        assertEquals(0, ring.arrived(batch), "that one is over");
        assertEquals(3, ring.size());
    }

    @Test
    void whatIsOnItsWayDoesNotGiveWay() {
        LogRing ring = ring(3, 10_000);
        fill(ring, 2);
        LogRing.Batch batch = ring.take();
        fill(ring, 5);
        assertEquals(List.of(2L, 3L), givenUp);
        assertEquals(2, ring.arrived(batch));
        LogMessageTest.Read next = read(ring.take());
        assertEquals(4, next.first());
        assertEquals(2, next.lost());
        assertEquals(3, next.lines().size());
    }

    @Test
    void aMessageEndsWhereNumbersAreMissing() {
        LogRing ring = new LogRing(10, 36, 480, 4, () -> now, new LogRing.Listener() {
            @Override
            public void kept(int boot, LogLine line) {
                // of no interest
            }

            @Override
            public void givenUp(int boot, LogLine line) {
                givenUp.add(line.sequence());
            }
        });
        ring.append(LogSeverity.INFO, "", "a");
        LogRing.Batch batch = ring.take();
        ring.append(LogSeverity.INFO, "", "b");
        ring.append(LogSeverity.INFO, "", "a long line, 20 bytes");
        assertEquals(List.of(1L), givenUp);
        // this needs more room than there is: the short line goes first, then the one behind it
        ring.setLevel(0);
        ring.failed(batch);
        assertEquals(List.of(1L, 0L), givenUp);
        LogMessageTest.Read rest = read(ring.take());
        assertEquals(2, rest.first());
        assertEquals(2, rest.lost());
    }

    @Test
    void theLevelCountsAtOnceAndWhatItDoesNotWantHasNoNumber() {
        LogRing ring = ring(100, 10_000);
        ring.setLevel(2);
        assertFalse(ring.append(LogSeverity.INFO, "m", "no"));
        assertTrue(ring.append(LogSeverity.WARNING, "m", "yes"));
        ring.setLevel(0);
        assertFalse(ring.append(LogSeverity.ERROR, "m", "no"));
        ring.setLevel(4);
        ring.setStopped(true);
        assertFalse(ring.append(LogSeverity.ERROR, "m", "no"));
        ring.setStopped(false);
        assertTrue(ring.append(LogSeverity.DEBUG, "m", "yes"));
        assertEquals(List.of(0L, 1L), kept);
    }

    @Test
    void aReadForgetsWhatTheReadBeforeGave() {
        LogRing ring = ring(100, 10_000);
        LogMessageTest.Read nothing = LogMessageTest.read(ring.read(true));
        assertEquals(0, nothing.first());
        assertEquals(List.of(), nothing.lines());
        fill(ring, 1);
        assertEquals(1, LogMessageTest.read(ring.read(true)).lines().size());
        assertEquals(1, ring.size());
        assertEquals(1, LogMessageTest.read(ring.read(false)).lines().size());
        assertEquals(1, ring.size(), "a Send will bring it");
        fill(ring, 1);
        LogMessageTest.Read second = LogMessageTest.read(ring.read(true));
        assertEquals(1, second.first());
        assertEquals(0, second.lost());
        LogMessageTest.Read third = LogMessageTest.read(ring.read(true));
        assertEquals(2, third.first());
        assertEquals(List.of(), third.lines());
        assertEquals(0, ring.size());
        fill(ring, 1);
        LogRing.Batch batch = ring.take();
        assertEquals(2, LogMessageTest.read(ring.read(true)).first(), "what is on its way");
        assertEquals(1, ring.arrived(batch));
    }

    @Test
    void anotherBootBeginsAnew() {
        LogRing ring = ring(2, 10_000);
        fill(ring, 5);
        LogRing.Batch batch = ring.take();
        now += 50_000;
        ring.restart(78);
        assertEquals(List.of(0L, 1L, 2L, 3L, 4L), givenUp);
        assertEquals(0, ring.arrived(batch));
        fill(ring, 1);
        LogMessageTest.Read message = read(ring.take());
        assertEquals(78, message.boot());
        assertEquals(0, message.first());
        assertEquals(0, message.lost());
        assertEquals(0, message.uptime());
    }

    @Test
    void messagesAreAsLongAsTheyMayBe() {
        LogRing ring = ring(1000, 100_000);
        assertFalse(ring.isMessageFull());
        fill(ring, 200);
        assertTrue(ring.isMessageFull());
        int lines = 0;
        while (lines < 200) {
            LogRing.Batch batch = ring.take();
            int count = read(batch).lines().size();
            assertTrue(batch.message().length <= 480);
            assertTrue(batch.message().length > 470 || lines + count == 200);
            lines += count;
            ring.arrived(batch);
        }
        assertNull(ring.take());
    }

    @Test
    void theLongestLineFits() {
        LogRing ring = ring(10, 10_000);
        now += 1L << 47;
        ring.append(LogSeverity.INFO, "m".repeat(50), "t".repeat(10_000));
        assertTrue(read(ring.take()).lines().get(0).text().length > 400);
    }

    /** Whatever happens: every line is delivered once, or given up and counted as lost where the next ones begin. */
    @ParameterizedTest
    @ValueSource(longs = { 1, 2, 3, 4, 5, 6, 7, 8 })
    void nothingIsUnaccountedFor(long seed) {
        Random random = new Random(seed);
        LogRing ring = ring(random.nextInt(5, 60), random.nextInt(500, 3000));
        TreeSet<Long> delivered = new TreeSet<>();
        LogRing.Batch flight = null;
        for (int step = 0; step < 5000; step++) {
            now += random.nextInt(300);
            int what = random.nextInt(20);
            if (what < 15) {
                ring.append(LogSeverity.values()[random.nextInt(4)], "m", "x".repeat(random.nextInt(150)));
            } else if (flight == null) {
                flight = ring.take();
            } else {
                if (what < 18) {
                    LogMessageTest.Read message = read(flight);
                    TreeSet<Long> missing = new TreeSet<>(givenUp);
                    missing.removeAll(delivered);
                    assertEquals(missing.headSet(message.first()).size(), message.lost());
                    message.lines().forEach(line -> assertTrue(delivered.add(line.sequence()), "twice"));
                    assertEquals(message.lines().size(), ring.arrived(flight));
                } else {
                    ring.failed(flight);
                }
                flight = null;
            }
            assertTrue(ring.size() < 80);
        }
        assertNotNull(delivered.last());
        assertEquals(kept.size(), delivered.size() + givenUp.size() + ring.size());
    }
}
