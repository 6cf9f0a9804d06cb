package flownexus.leshan.requests;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.Timers;
import flownexus.leshan.events.EventLog;
import flownexus.leshan.journal.Entry;
import flownexus.leshan.journal.Journal;
import flownexus.leshan.json.Json;

/** The life of a request, without devices. */
class RequestServiceTest {

    private static final Target TARGET = new Target("device \"1\"", "/3/0/9", List.of());

    @TempDir
    Path folder;

    private final ScheduledExecutorService timer = Timers.create("test-timer");

    @AfterEach
    void end() {
        timer.shutdownNow();
    }

    /** Both journals and the service on them. */
    private final class Process implements AutoCloseable {

        final RequestStore store;
        final Journal journal;
        final RequestService service;

        Process(Path data) throws IOException {
            store = new RequestStore(data.resolve("requests"));
            journal = Journal.open(data.resolve("journal"), 1 << 20);
            service = new RequestService(store, new EventLog(journal), timer);
        }

        List<Entry> events() {
            return journal.read(0, 1 << 20);
        }

        @Override
        public void close() throws IOException {
            service.stop();
            journal.close();
            store.close();
        }
    }

    /** A job that ends when it is told to. */
    private static final class Waiting implements Job {

        final CompletableFuture<Ending> started = new CompletableFuture<>();
        final AtomicInteger starts = new AtomicInteger();
        volatile long timeoutMillis = 60_000;

        @Override
        public void start(Ending ending) {
            starts.incrementAndGet();
            started.complete(ending);
        }

        @Override
        public void cancel() {
            started.thenAccept(ending -> ending.cancelled("Request cancelled: told to"));
        }

        @Override
        public boolean left() {
            return true;
        }

        @Override
        public long timeoutMillis() {
            return timeoutMillis;
        }
    }

    private static JsonNode json(byte[] bytes) throws IOException {
        return Json.MAPPER.readTree(bytes);
    }

    private static Job.Ending start(RequestService service, String id, Waiting job) throws Exception {
        CompletableFuture<RequestService.Found> reply = new CompletableFuture<>();
        service.accept(id, TARGET, job, reply::complete);
        assertFalse(reply.get(10, TimeUnit.SECONDS).ended());
        return job.started.get(10, TimeUnit.SECONDS);
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.write(to.resolve(file.getFileName()), Files.readAllBytes(file));
            }
        }
    }

    @Test
    void isOnDiskBeforeItStarts() throws Exception {
        try (Process process = new Process(folder.resolve("a"))) {
            start(process.service, "id", new Waiting());
            copy(folder.resolve("a/requests"), folder.resolve("b/requests"));
            try (Process other = new Process(folder.resolve("b"))) {
                eventually("it is known there", () -> other.service.find("id").ended());
                assertEquals("unknown", json(other.service.find("id").record()).get("outcome").asText());
            }
        }
    }

    @Test
    void whoRepeatsItIsToldWhenItIsOnDisk() throws Exception {
        try (Process process = new Process(folder)) {
            Waiting job = new Waiting();
            process.service.accept("id", TARGET, job, found -> {
            });
            CompletableFuture<Integer> starts = new CompletableFuture<>();
            assertTrue(process.service.find("id", found -> starts.complete(job.starts.get())));
            // what is on disk is started first
            assertEquals(1, starts.get(10, TimeUnit.SECONDS));
            assertFalse(process.service.find("other", found -> starts.cancel(false)));
        }
    }

    @Test
    void anAnswerThatWasPublishedIsNotForgottenByAKillJustAfter() throws Exception {
        try (Process process = new Process(folder.resolve("a"))) {
            Job.Ending ending = start(process.service, "id", new Waiting());
            // the store as it was before the end, the events as they were after
            copy(folder.resolve("a/requests"), folder.resolve("b/requests"));
            ending.answered(json -> json.writeString("yes"));
            eventually("it is published", () -> process.journal.last() == 1);
            copy(folder.resolve("a/journal"), folder.resolve("b/journal"));
            eventually("it has ended", () -> process.service.find("id").ended());
            try (Process other = new Process(folder.resolve("b"))) {
                assertEquals(json(process.service.find("id").record()), json(other.service.find("id").record()));
                assertEquals(1, other.journal.last(), "nothing is published again");
            }
            try (Process other = new Process(folder.resolve("b"))) {
                assertTrue(other.service.find("id").ended());
                assertEquals(1, other.journal.last());
            }
        }
    }

    @Test
    void theFirstWordCounts() throws Exception {
        try (Process process = new Process(folder)) {
            Waiting job = new Waiting();
            Job.Ending ending = start(process.service, "id", job);
            ending.answered(json -> json.writeNumber(1));
            ending.timedOut();
            process.service.cancel("id");
            eventually("it has ended", () -> process.service.find("id").ended());
            assertEquals("answered", json(process.service.find("id").record()).get("outcome").asText());
            assertEquals(1, process.journal.last());
            JsonNode event = json(process.events().get(0).data());
            assertEquals("device \"1\"", event.get("ep").asText());
            assertEquals(1, event.get("response").intValue());
            CompletableFuture<RequestService.Found> reply = new CompletableFuture<>();
            process.service.accept("id", TARGET, job, reply::complete);
            assertTrue(reply.get(10, TimeUnit.SECONDS).ended());
            assertEquals(1, job.starts.get());
        }
    }

    @Test
    void cancelledBeforeItStartsItNeverDoes() throws Exception {
        try (Process process = new Process(folder)) {
            Waiting slow = new Waiting();
            Waiting second = new Waiting();
            CompletableFuture<Void> gate = new CompletableFuture<>();
            process.service.accept("slow", TARGET, new Job() {
                @Override
                public void start(Ending ending) {
                    gate.join();
                }

                @Override
                public void cancel() {
                    slow.cancel();
                }

                @Override
                public boolean left() {
                    return true;
                }

                @Override
                public long timeoutMillis() {
                    return 60_000;
                }
            }, found -> {
            });
            CompletableFuture<RequestService.Found> reply = new CompletableFuture<>();
            process.service.accept("second", TARGET, second, reply::complete);
            assertFalse(process.service.cancel("second").ended());
            gate.complete(null);
            eventually("it has ended", () -> process.service.find("second").ended());
            JsonNode record = json(process.service.find("second").record());
            assertEquals("cancelled", record.get("outcome").asText());
            assertFalse(record.get("sent").booleanValue());
            assertEquals(0, second.starts.get());
            assertTrue(reply.isDone());
        }
    }

    @Test
    void endsAlsoIfTheJobForgetsTo() throws Exception {
        try (Process process = new Process(folder)) {
            Waiting job = new Waiting();
            job.timeoutMillis = -4990;
            start(process.service, "id", job);
            eventually("it has ended", () -> process.service.find("id").ended());
            assertEquals("timeout", json(process.service.find("id").record()).get("outcome").asText());
        }
    }

    @Test
    void forgetsAfterSevenDays() throws Exception {
        byte[] large = new byte[3 << 20];
        try (RequestStore store = new RequestStore(folder)) {
            for (int index = 0; index < 7; index++) {
                store.end("old-" + index, large);
            }
        }
        List<Path> files;
        try (Stream<Path> listed = Files.list(folder)) {
            files = listed.sorted().toList();
        }
        assertEquals(2, files.size());
        Files.setLastModifiedTime(files.get(0), FileTime.from(Instant.now().minus(Duration.ofDays(6))));
        try (RequestStore store = new RequestStore(folder)) {
            assertEquals(large.length, store.find("old-0").length);
        }
        Files.setLastModifiedTime(files.get(0), FileTime.from(Instant.now().minus(Duration.ofDays(8))));
        try (RequestStore store = new RequestStore(folder)) {
            assertNull(store.find("old-0"));
            assertEquals(large.length, store.find("old-6").length);
            store.end("new", new byte[] { '1' });
            eventually("it is on disk", () -> store.find("new").length == 1);
        }
    }
}
