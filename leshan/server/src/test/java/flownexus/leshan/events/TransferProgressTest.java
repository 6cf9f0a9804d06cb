package flownexus.leshan.events;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledExecutorService;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import flownexus.leshan.Timers;
import flownexus.leshan.events.TransferProgress.Progress;
import flownexus.leshan.journal.Journal;
import flownexus.leshan.json.Json;

class TransferProgressTest {

    @TempDir
    Path folder;

    private final ScheduledExecutorService timer = Timers.create("test");
    private final List<Long> told = new CopyOnWriteArrayList<>();
    private Journal journal;
    private TransferProgress progress;

    @BeforeEach
    void start() throws Exception {
        journal = Journal.open(folder.resolve("journal"), 1 << 20);
        EventLog events = new EventLog(journal);
        events.addLiveListener(new EventLog.LiveListener() {
            @Override
            public boolean wants(String endpoint) {
                return true;
            }

            @Override
            public boolean traces() {
                return false;
            }

            @Override
            public void live(String type, String endpoint, byte[] data) {
                try {
                    told.add(Json.MAPPER.readTree(data).get("sent").longValue());
                } catch (IOException e) {
                    throw new AssertionError(e);
                }
            }
        });
        progress = new TransferProgress(events, timer);
    }

    @AfterEach
    void end() throws Exception {
        timer.shutdownNow();
        journal.close();
    }

    private void report(long sent, boolean last) {
        progress.report(new Progress("device", null, "/fw", "0", sent, 10, 1), last);
    }

    @Test
    void theEndIsToldAtOnce() {
        report(1, false);
        report(2, false);
        report(10, true);
        assertEquals(List.of(1L, 10L), told);
        eventually("nothing is left to be told", () -> progress.isEmpty());
        assertEquals(List.of(1L, 10L), told);
    }

    @Test
    void whatWasHeldBackIsToldWhenATransferBreaksOff() {
        report(1, false);
        report(2, false);
        progress.end("device");
        assertEquals(List.of(1L, 2L), told);
    }

    @Test
    void whoFetchesTheLastBlockAgainAndAgainFloodsNobody() {
        for (int times = 0; times < 1000; times++) {
            report(9, false);
            report(10, true);
        }
        assertEquals(List.of(9L, 10L), told);
        eventually("the end is told once more, in its time", () -> progress.isEmpty());
        assertEquals(List.of(9L, 10L, 10L), told);
    }
}
