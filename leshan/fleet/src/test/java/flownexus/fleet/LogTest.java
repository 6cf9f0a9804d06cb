package flownexus.fleet;

import static flownexus.fleet.TestServer.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import flownexus.models.ObjectModels;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.response.ReadResponse;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** What devices log, on its way to a server. */
@Timeout(60)
class LogTest {

    private static final ObjectModels MODELS = ObjectModels.load(List.of());
    private static final String EP = "sim-1";
    private static final String DATA = "/20/0/4014";

    @TempDir
    private Path folder;

    private final List<AutoCloseable> open = new ArrayList<>();
    private TestServer server;
    private Fleet fleet;
    private Device device;

    @AfterEach
    void closeAll() throws Exception {
        for (int i = open.size() - 1; i >= 0; i--) {
            open.get(i).close();
        }
    }

    private void start(String... flags) throws Exception {
        server = TestServer.plain();
        open.add(server);
        List<String> all = new ArrayList<>(List.of("--server", server.uri().toString(), "--count", "1", "--interval",
                "0.5", "--backoff", "0.2", "--backoff-max", "0.4", "--boot-seconds", "0.2", "--logs", "--log-interval",
                "0.05", "--log-delay", "0.2", "--log-file", folder.resolve("lines.jsonl").toString()));
        all.addAll(Arrays.asList(flags));
        fleet = new Fleet(CommandLineTest.settings(all.toArray(String[]::new)), MODELS);
        open.add(fleet);
        fleet.start();
        device = fleet.devices().get(0);
        await("registered", () -> server.registration(EP) != null && device.isRegistered());
    }

    private List<LogMessageTest.Read> messages() {
        List<LogMessageTest.Read> messages = new ArrayList<>();
        for (TestServer.Sample sample : List.copyOf(server.samples)) {
            if (sample.path().toString().equals(DATA)) {
                assertNull(sample.time());
                messages.add(LogMessageTest.read((byte[]) sample.value()));
            }
        }
        return messages;
    }

    /** Text by sequence number. */
    private Map<Long, String> lines(int boot) {
        Map<Long, String> lines = new TreeMap<>();
        for (LogMessageTest.Read message : messages()) {
            if (message.boot() == boot) {
                message.lines().forEach(line -> lines.put(line.sequence(), line.lineText()));
            }
        }
        return lines;
    }

    private long lines() {
        return messages().stream().mapToLong(message -> message.lines().size()).sum();
    }

    private static long number(Device of, String figure) {
        return ((Number) of.logs().get(figure)).longValue();
    }

    private Object read(int resource) throws InterruptedException {
        ReadResponse response = server.ask(EP, new ReadRequest(20, 0, resource));
        assertTrue(response.isSuccess(), response.toString());
        return ((LwM2mSingleResource) response.getContent()).getValue();
    }

    private List<JsonNode> file() throws IOException {
        List<JsonNode> all = new ArrayList<>();
        for (String line : Files.readAllLines(folder.resolve("lines.jsonl"))) {
            all.add(new ObjectMapper().readTree(line));
        }
        return all;
    }

    private long linesGivenUp() {
        try {
            return file().stream().filter(line -> line.path("given_up").asBoolean()).count();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void linesArriveFromTheBannerOnWithoutAGap() throws Exception {
        start();
        await("lines", () -> lines() > 60);
        int boot = messages().get(0).boot();
        Map<Long, String> lines = lines(boot);
        assertEquals("*** Booting FlowNexus sim v1.0.0 ***", lines.get(0L));
        long expected = 0;
        for (LogMessageTest.Read message : messages()) {
            assertEquals(expected, message.first());
            assertEquals(0, message.lost());
            expected += message.lines().size();
        }
        assertTrue(lines.values().stream().anyMatch(text -> text.startsWith("registered as ")));
        assertTrue(lines.values().stream().noneMatch(text -> text.contains("Send")));
        fleet.awaitQuiet(1000);
        Map<Long, String> written = new TreeMap<>();
        for (JsonNode line : file()) {
            assertEquals(EP, line.path("endpoint").asText());
            assertEquals(Integer.toUnsignedLong(boot), line.path("boot").asLong());
            assertFalse(line.path("given_up").asBoolean());
            written.put(line.path("sequence").asLong(), line.path("text").asText());
        }
        lines.forEach((sequence, text) -> assertEquals(written.get(sequence), text));
    }

    @Test
    void theServerSetsTheLevel() throws Exception {
        start();
        assertEquals(4L, read(26_241));
        assertTrue(server.ask(EP, new WriteRequest(20, 0, 26_241, 0L)).isSuccess());
        assertEquals(0L, read(26_241));
        long before = number(device, "lines");
        assertEquals(ResponseCode.BAD_REQUEST, server.ask(EP, new WriteRequest(20, 0, 26_241, 5L)).getCode());
        assertEquals(before, number(device, "lines"));
        assertTrue(server.ask(EP, new WriteRequest(20, 0, 26_241, 3L)).isSuccess());
        assertTrue(server.ask(EP, new ExecuteRequest(1, 0, 8)).isSuccess());
        await("an info", () -> number(device, "lines") > before);
        assertEquals(100L, read(4015));
        assertEquals(0L, read(4010));
    }

    @Test
    void loggingCanBeStopped() throws Exception {
        start();
        assertTrue(server.ask(EP, new ExecuteRequest(20, 0, 4012)).isSuccess());
        await("all has arrived", () -> (number(device, "waiting")) == 0);
        assertEquals(1L, read(4013));
        long before = number(device, "lines");
        assertTrue(server.ask(EP, new ExecuteRequest(1, 0, 8)).isSuccess());
        await("updated", () -> server.events.contains("updated " + EP));
        assertEquals(before, number(device, "lines"));
        assertTrue(server.ask(EP, new ExecuteRequest(20, 0, 4011)).isSuccess());
        await("lines again", () -> number(device, "lines") > before);
    }

    @Test
    void aRebootIsAnotherBoot() throws Exception {
        start();
        await("lines", () -> lines() > 5);
        int boot = device.log().ring().boot();
        assertTrue(server.ask(EP, new ExecuteRequest(3, 0, 4)).isSuccess());
        await("another boot", () -> device.log().ring().boot() != boot);
        int next = device.log().ring().boot();
        assertNotEquals(boot, next);
        await("its lines", () -> lines(next).size() > 5);
        // whether the last words still got out depends on the machine
        assertTrue(file().stream().anyMatch(line -> line.path("boot").asLong() == Integer.toUnsignedLong(boot)
                && line.path("text").asText().equals("reboot, as the server wants it")));
        assertTrue(lines(next).get(0L).startsWith("*** Booting"));
        assertTrue(lines(next).get(1L).startsWith("reset cause: reboot, boot 2"));
    }

    @Test
    void nothingIsLostWhileTheServerIsAway() throws Exception {
        start("--ack-timeout", "0.1", "--max-retransmit", "1");
        await("lines", () -> lines() > 5);
        int port = server.uri().getPort();
        TestServer before = server;
        before.close();
        await("given up", () -> device.counters().losses.get() > 0);
        long waiting = number(device, "lines");
        await("more lines", () -> number(device, "lines") > waiting + 30);
        server = new TestServer(false, port, null, List.of());
        open.add(server);
        server.samples.addAll(before.samples);
        await("all of them", () -> {
            Map<Long, String> lines = lines(device.log().ring().boot());
            return lines.size() > waiting + 30 && lines.containsKey((long) lines.size() - 1);
        });
        assertEquals(0, number(device, "givenUp"));
        assertTrue(messages().stream().allMatch(message -> message.lost() == 0));
    }

    @Test
    void aStormTakesNoMoreMemoryThanThereIs() throws Exception {
        start("--log-storm", EP + ":5000", "--log-memory", "4096", "--log-level", "info");
        await("lost lines", () -> messages().stream().anyMatch(message -> message.lost() > 100));
        assertTrue(device.log().ring().size() < 4096 / 8);
        assertTrue(number(device, "givenUp") > 100);
        fleet.stop(false, 0);
        await("the end of the storm", () -> device.isQuiet() && lines() == number(device, "acknowledged"));
        await("all in the file", () -> number(device, "givenUp") == linesGivenUp());
        // the ends of numbers and the count of lost ones agree
        LogMessageTest.Read last = messages().get(messages().size() - 1);
        assertEquals(last.first() - (lines() - last.lines().size()), last.lost());
    }

    @Test
    void aSleeperSendsWhenItWakes() throws Exception {
        start("--sleepers", "1", "--awake-seconds", "0.3", "--sleep-seconds", "1.5");
        await("asleep", () -> device.isAsleep());
        long before = number(device, "acknowledged");
        await("more lines", () -> number(device, "waiting") > 5);
        assertTrue(device.isAsleep() || number(device, "acknowledged") > before);
        await("awake", () -> device.counters().wakes.get() > 0 && number(device, "acknowledged") > before);
        await("asleep again", () -> device.isAsleep());
    }

    @Test
    void whoMayNotSendIsRead() throws Exception {
        start();
        assertTrue(server.ask(EP, new WriteRequest(1, 0, 23, true)).isSuccess());
        await("lines", () -> number(device, "waiting") > 20);
        long sends = number(device, "sends");
        LogMessageTest.Read first = LogMessageTest.read((byte[]) read(4014));
        LogMessageTest.Read second = LogMessageTest.read((byte[]) read(4014));
        assertEquals(first.first() + first.lines().size(), second.first());
        assertEquals(0, second.lost());
        assertEquals(2L, read(4013));
        assertEquals(sends, number(device, "sends"));
        server.observe(EP, DATA);
        await("notifications", () -> server.notified(EP, DATA).size() > 3);
        // the answer to the observation itself had the lines from the second read to the first notification
        long expected = -1;
        for (Object message : server.notified(EP, DATA)) {
            LogMessageTest.Read notified = LogMessageTest.read((byte[]) message);
            expected = expected < 0 ? notified.first() : expected;
            assertEquals(expected, notified.first());
            expected += notified.lines().size();
        }
        assertTrue(server.ask(EP, new WriteRequest(1, 0, 23, false)).isSuccess());
        await("a Send", () -> number(device, "sends") > sends);
    }

    @Test
    void withoutTheFlagThereIsNoLog() throws Exception {
        server = TestServer.plain();
        open.add(server);
        fleet = new Fleet(CommandLineTest.settings("--server", server.uri().toString(), "--count", "1"), MODELS);
        open.add(fleet);
        fleet.start();
        await("registered", () -> server.registration(EP) != null);
        assertNull(fleet.devices().get(0).logs());
        assertEquals(ResponseCode.NOT_FOUND, server.ask(EP, new ReadRequest(20, 0)).getCode());
    }
}
