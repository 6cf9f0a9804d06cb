package flownexus.fleet;

import static flownexus.fleet.TestServer.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import flownexus.models.ObjectModels;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Devices against a Leshan server in the same process. */
@Timeout(60)
class FleetTest {

    private static final ObjectModels MODELS = ObjectModels.load(List.of());
    private static final String VALUE = "/3303/0/5700";
    private static final String KEY = "00112233445566778899aabbccddeeff";

    @TempDir
    private Path folder;

    private final List<AutoCloseable> open = new ArrayList<>();

    @AfterEach
    void closeAll() throws Exception {
        for (int i = open.size() - 1; i >= 0; i--) {
            open.get(i).close();
        }
    }

    private <T extends AutoCloseable> T opened(T resource) {
        open.add(resource);
        return resource;
    }

    /** For devices that are to notice a silent server soon. */
    private static final String[] IMPATIENT = { "--ack-timeout", "0.3", "--max-retransmit", "1" };

    /** One device with quick values and short pauses. */
    private Fleet fleet(URI server, String... flags) throws IOException, InterruptedException {
        String[] common = { "--server", server.toString(), "--count", "1", "--interval", "0.05", "--backoff", "0.2",
                "--backoff-max", "0.4", "--boot-seconds", "0.2" };
        Fleet fleet = opened(new Fleet(CommandLineTest.settings(joined(common, flags)), MODELS));
        fleet.start();
        return fleet;
    }

    private void writePsk(String endpoint, String key) throws IOException {
        Path device = Files.createDirectories(Credentials.folder(folder, endpoint));
        Files.writeString(device.resolve("psk.identity"), endpoint);
        Files.writeString(device.resolve("psk.key"), key);
    }

    private TestServer pskServer(int port, String... observed) throws Exception {
        TestServer server = opened(new TestServer(true, port, null, List.of(observed)));
        for (String endpoint : List.of("sim-1", "sim-2")) {
            server.security.add(
                    SecurityInfo.newPreSharedKeyInfo(endpoint, endpoint, HexFormat.of().parseHex(KEY)));
        }
        return server;
    }

    private Fleet pskFleet(URI server, String... flags) throws IOException, InterruptedException {
        writePsk("sim-1", KEY);
        return fleet(server, joined(new String[] { "--mode", "psk", "--credentials", folder.toString() }, flags));
    }

    private static String[] joined(String[] first, String[] second) {
        return Stream.of(first, second).flatMap(Stream::of).toArray(String[]::new);
    }

    @Test
    void valuesReachAnObserverOverDtls() throws Exception {
        TestServer server = pskServer(0, VALUE);
        pskFleet(server.uri(), "--round-trip", "20");
        await("ten values", () -> server.notified("sim-1", VALUE).size() >= 10);
        var registration = server.registration("sim-1");
        assertTrue(registration.getClientTransportData().getIdentity().isSecure());
        assertFalse(registration.usesQueueMode());
        assertEquals(Set.of(1, 3, 4, 5, 6, 3303, 3304, 3306, 3311), registration.getSupportedObject().keySet());
        for (Object value : server.notified("sim-1", VALUE)) {
            assertTrue((double) value > 0 && (double) value < 40, "temperature " + value);
        }
    }

    @Test
    void countedValuesArriveInOrderAndTheReportIsTrue() throws Exception {
        TestServer server = opened(TestServer.plain(VALUE));
        Path file = folder.resolve("report.jsonl");
        Fleet fleet = fleet(server.uri(), "--counted", "--count", "2", "--interval", "0.01");
        await("numbers", () -> server.notified("sim-1", VALUE).size() > 60
                && server.notified("sim-2", VALUE).size() > 60);
        fleet.stop(false, 0);
        // the last of each may still be on its way
        await("the report and the server to agree", () -> fleet.devices().stream().allMatch(device -> {
            int arrived = server.notified(device.endpoint(), VALUE).size();
            return device.counters().sent.get() == arrived && device.counters().acknowledged.get() == arrived;
        }));
        new Report(file).write(fleet.devices());
        List<String> lines = Files.readAllLines(file);
        assertEquals(2, lines.size());
        for (String line : lines) {
            JsonNode figures = new ObjectMapper().readTree(line);
            List<Object> values = server.notified(figures.get("endpoint").asText(), VALUE);
            assertEquals(values.size(), figures.get("acknowledged").asInt());
            assertEquals(values.size(), figures.get("sent").asInt());
            for (int i = 0; i < values.size(); i++) {
                assertEquals((double) i, values.get(i));
            }
        }
    }

    @Test
    void sentSeriesKeepTheirTimes() throws Exception {
        TestServer server = opened(TestServer.plain(VALUE));
        Instant begun = Instant.now().minusSeconds(1);
        Fleet fleet = fleet(server.uri(), "--send", "--counted");
        await("samples", () -> server.samples.size() > 20);
        fleet.stop(false, 0);
        Counters counters = fleet.devices().get(0).counters();
        await("the last acknowledgement", () -> counters.sent.get() == server.samples.size()
                && counters.acknowledged.get() == server.samples.size());
        List<TestServer.Sample> samples = List.copyOf(server.samples);
        for (int i = 0; i < samples.size(); i++) {
            assertEquals(Device.TEMPERATURE, samples.get(i).path());
            assertEquals((double) i, samples.get(i).value());
            assertTrue(samples.get(i).time().isAfter(i == 0 ? begun : samples.get(i - 1).time()));
        }
        assertTrue(samples.get(samples.size() - 1).time().isBefore(Instant.now().plusSeconds(1)));
        assertEquals(List.of(), server.notified("sim-1", VALUE), "notified although it Sends");
    }

    @Test
    void aSleeperIsSilentAndComesBackWithItsSeries() throws Exception {
        TestServer server = pskServer(0);
        writePsk("sim-2", KEY);
        Fleet fleet = pskFleet(server.uri(), "--count", "2", "--sleepers", "1", "--awake-seconds", "0.3",
                "--sleep-seconds", "2.5");
        Device sleeper = fleet.devices().get(1);
        await("registered", () -> server.registration("sim-1") != null && server.registration("sim-2") != null);
        assertFalse(server.registration("sim-1").usesQueueMode());
        assertTrue(server.registration("sim-2").usesQueueMode());
        ReadResponse awake = server.ask("sim-2", new ReadRequest(3, 0, 0));
        assertTrue(awake.isSuccess());

        await("asleep", sleeper::isAsleep);
        server.samples.clear();
        long wakesBefore = sleeper.counters().wakes.get();
        assertNull(server.ask("sim-2", new ReadRequest(3, 0, 0), Duration.ofMillis(400)));
        assertEquals(wakesBefore, sleeper.counters().wakes.get());
        assertEquals(List.of(), server.samples);
        assertTrue(server.ask("sim-1", new ReadRequest(3, 0, 0)).isSuccess(), "the other one is awake");

        await("the series", () -> server.samples.stream().filter(s -> s.path().equals(Device.TEMPERATURE)).count() > 30);
        List<Instant> times = server.samples.stream().filter(s -> s.path().equals(Device.TEMPERATURE))
                .map(TestServer.Sample::time).sorted().toList();
        assertTrue(Duration.between(times.get(0), times.get(times.size() - 1)).toMillis() >= 1500,
                "the series covers the sleep");
        await("an Update after it", () -> server.events.contains("updated sim-2"));
        assertEquals(1, sleeper.counters().registrations.get());
        assertTrue(server.ask("sim-2", new ReadRequest(3, 0, 0)).isSuccess());
    }

    @Test
    void comesBackAfterTheServerRestarted() throws Exception {
        TestServer first = pskServer(0, VALUE);
        int port = first.uri().getPort();
        Fleet fleet = pskFleet(first.uri(), joined(IMPATIENT, new String[] { "--counted" }));
        await("numbers", () -> first.notified("sim-1", VALUE).size() > 5);
        first.close();
        open.remove(first);
        TestServer second = pskServer(port, VALUE);
        await("back", () -> second.notified("sim-1", VALUE).size() > 5);
        List<Object> before = first.notified("sim-1", VALUE);
        double lastBefore = (double) before.get(before.size() - 1);
        double firstAfter = (double) second.notified("sim-1", VALUE).get(0);
        assertTrue(firstAfter == lastBefore || firstAfter == lastBefore + 1, lastBefore + " then " + firstAfter);
        assertTrue(fleet.devices().get(0).counters().losses.get() >= 1);
    }

    @Test
    void registersAgainWhenTheServerForgotIt() throws Exception {
        TestServer server = opened(TestServer.plain());
        Fleet fleet = fleet(server.uri(), "--update-period", "0.2");
        Device device = fleet.devices().get(0);
        await("an update", () -> server.events.contains("updated sim-1"));
        server.forget("sim-1");
        await("again", () -> device.counters().registrations.get() == 2);
        assertEquals(1, device.counters().losses.get());
    }

    @Test
    void triesForEverAndSaysWhy() throws Exception {
        TestServer server = pskServer(0);
        writePsk("sim-2", "ffffffffffffffffffffffffffffffff");
        Fleet fleet = pskFleet(server.uri(), joined(IMPATIENT, new String[] { "--count", "2" }));
        Device refused = fleet.devices().get(1);
        await("refused three times", () -> refused.counters().refusals.get() >= 3);
        assertTrue(refused.refusal().startsWith("DTLS handshake failed")
                || refused.refusal().equals("no answer to the DTLS handshake"), refused.refusal());
        assertFalse(refused.isRegistered());
        assertTrue(fleet.devices().get(0).isRegistered());
    }

    @Test
    void aRebootRegistersAnewWithoutGoodbye() throws Exception {
        TestServer server = opened(TestServer.plain(VALUE));
        Fleet fleet = fleet(server.uri());
        Device device = fleet.devices().get(0);
        await("a value", () -> !server.notified("sim-1", VALUE).isEmpty());
        assertTrue(server.ask("sim-1", new ExecuteRequest(3, 0, 4)).isSuccess());
        await("the second registration", () -> device.counters().registrations.get() == 2);
        await("replaced", () -> server.events.contains("replaced sim-1"));
        assertFalse(server.events.contains("unregistered sim-1"));
        assertEquals(1, device.counters().reboots.get());
        assertTrue(server.ask("sim-1", new ExecuteRequest(3, 0, 5)).isSuccess());
        await("the third registration", () -> device.counters().registrations.get() == 3);
        assertEquals(1, device.counters().factoryResets.get());
        assertEquals(2, device.counters().executes.get());
        int before = server.notified("sim-1", VALUE).size();
        await("values again", () -> server.notified("sim-1", VALUE).size() > before + 3);
    }

    @Test
    void objectsAnswerAsTheSpecificationWants() throws Exception {
        TestServer server = opened(TestServer.plain());
        Fleet fleet = fleet(server.uri(), "--endpoint", "häus \"1\"/{n}");
        String endpoint = "häus \"1\"/1";
        await("registered", () -> server.registration(endpoint) != null);
        LwM2mObjectInstance device = instance(server, endpoint, 3);
        assertEquals("FlowNexus", ((LwM2mSingleResource) device.getResource(0)).getValue());
        assertEquals("Simulated Sensor", ((LwM2mSingleResource) device.getResource(1)).getValue());
        assertEquals(2, ((LwM2mMultipleResource) device.getResource(6)).getInstances().size());
        assertEquals(0L, ((LwM2mMultipleResource) device.getResource(11)).getInstance(0).getValue());
        assertEquals("U", ((LwM2mSingleResource) device.getResource(16)).getValue());
        assertNotEquals("", ((LwM2mMultipleResource) instance(server, endpoint, 4).getResource(4)).getInstance(0)
                .getValue());
        assertEquals(0L, ((LwM2mSingleResource) instance(server, endpoint, 5).getResource(3)).getValue());
        assertNotNull(instance(server, endpoint, 6).getResource(0));
        assertEquals("Cel", ((LwM2mSingleResource) instance(server, endpoint, 3303).getResource(5701)).getValue());
        assertEquals("%RH", ((LwM2mSingleResource) instance(server, endpoint, 3304).getResource(5701)).getValue());

        Date then = new Date(1_000_000_000_000L);
        assertTrue(server.ask(endpoint, new WriteRequest(3, 0, 13, then)).isSuccess());
        Date now = (Date) ((LwM2mSingleResource) server.ask(endpoint, new ReadRequest(3, 0, 13)).getContent())
                .getValue();
        assertTrue(now.getTime() - then.getTime() < 60_000, "the clock was set");
        assertEquals(ResponseCode.BAD_REQUEST, server.ask(endpoint, new WriteRequest(3, 0, 14, "noon")).getCode());
        assertTrue(server.ask(endpoint, new WriteRequest(3, 0, 14, "+02:00")).isSuccess());
        assertEquals(ResponseCode.METHOD_NOT_ALLOWED,
                server.ask(endpoint, new WriteRequest(3, 0, 0, "someone else")).getCode());

        assertEquals(ResponseCode.METHOD_NOT_ALLOWED, server.ask(endpoint, new ExecuteRequest(5, 0, 2)).getCode());
        assertEquals(ResponseCode.METHOD_NOT_ALLOWED,
                server.ask(endpoint, new CreateRequest(3303, LwM2mSingleResource.newStringResource(5750, "x"))).getCode());
        assertEquals(ResponseCode.METHOD_NOT_ALLOWED, server.ask(endpoint, new DeleteRequest(3303, 0)).getCode());
        assertTrue(server.ask(endpoint, new ExecuteRequest(3303, 0, 5605)).isSuccess());
        assertEquals(1, fleet.devices().get(0).counters().executes.get());
        assertEquals(2, fleet.devices().get(0).counters().writes.get());
    }

    private static LwM2mObjectInstance instance(TestServer server, String endpoint, int object)
            throws InterruptedException {
        return (LwM2mObjectInstance) server.ask(endpoint, new ReadRequest(object, 0)).getContent();
    }

    @Test
    void compositeObservationsAndAttributesWork() throws Exception {
        TestServer server = opened(TestServer.plain(VALUE));
        fleet(server.uri(), "--interval", "0.02");
        await("values", () -> server.notified("sim-1", VALUE).size() > 3);
        assertTrue(server.ask("sim-1", new ObserveCompositeRequest(ContentFormat.SENML_CBOR, ContentFormat.SENML_CBOR,
                VALUE, "/3/0/9")).isSuccess());
        await("composite values", () -> server.notified("sim-1", "composite").size() > 3);
        // a new relation takes the attributes: one value a second at most
        assertTrue(server.ask("sim-1", new WriteAttributesRequest(3304, 0, 5700, new LwM2mAttributeSet(
                LwM2mAttributes.create(LwM2mAttributes.MINIMUM_PERIOD, 1L),
                LwM2mAttributes.create(LwM2mAttributes.MAXIMUM_PERIOD, 1L)))).isSuccess());
        server.observe("sim-1", "/3304/0/5700");
        await("a value because of pmax", () -> !server.notified("sim-1", "/3304/0/5700").isEmpty());
    }

    @Test
    void saysGoodbyeWhenAskedTo() throws Exception {
        TestServer server = pskServer(0);
        Fleet fleet = pskFleet(server.uri());
        await("registered", () -> fleet.devices().get(0).isRegistered());
        await("a value", () -> fleet.devices().get(0).counters().produced.get() > 0);
        fleet.stop(true, 5000);
        await("the goodbye", () -> server.events.contains("unregistered sim-1"));
        assertFalse(fleet.devices().get(0).isRegistered());
    }
}
