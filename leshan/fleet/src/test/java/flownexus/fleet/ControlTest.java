package flownexus.fleet;

import static flownexus.fleet.TestServer.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import flownexus.models.ObjectModels;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLink;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttribute;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributes;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.WriteRequest.Mode;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a server can do to a device. */
@Timeout(60)
class ControlTest {

    private static final ObjectModels MODELS = ObjectModels.load(List.of());
    private static final String EP = "sim-1";
    private static final Duration SHORT = Duration.ofMillis(700);

    @TempDir
    private Path folder;

    private final List<AutoCloseable> open = new ArrayList<>();
    private TestServer server;
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
                "0.1", "--backoff", "0.2", "--backoff-max", "0.4", "--boot-seconds", "0.2"));
        all.addAll(Arrays.asList(flags));
        Fleet fleet = new Fleet(CommandLineTest.settings(all.toArray(String[]::new)), MODELS);
        open.add(fleet);
        fleet.start();
        device = fleet.devices().get(0);
        await("registered", () -> server.registration(EP) != null && device.isRegistered());
    }

    private <T extends LwM2mResponse> T ask(DownlinkDeviceManagementRequest<T> request) throws InterruptedException {
        T response = server.ask(EP, request);
        assertNotNull(response, "no answer to " + request);
        return response;
    }

    private void done(DownlinkDeviceManagementRequest<?> request) throws InterruptedException {
        LwM2mResponse response = ask(request);
        assertTrue(response.isSuccess(), request + ": " + response);
    }

    private Object read(String path) throws InterruptedException {
        ReadResponse response = ask(new ReadRequest(path));
        assertTrue(response.isSuccess(), path + ": " + response);
        LwM2mNode node = response.getContent();
        return node instanceof LwM2mSingleResource single ? single.getValue()
                : node instanceof LwM2mResourceInstance instance ? instance.getValue() : node;
    }

    private JsonNode counted(String path) throws IOException {
        Path file = folder.resolve("report.jsonl");
        new Report(file).write(List.of(device));
        return new ObjectMapper().readTree(Files.readAllLines(file).get(0)).path("paths").path(path);
    }

    @Test
    void aLightIsSwitchedAndSaysSo() throws Exception {
        start();
        server.observe(EP, "/3311/0/5850");
        await("observed", () -> server.events.contains("observed /3311/0/5850"));
        assertEquals(false, read("/3311/0/5850"));
        done(new WriteRequest(3311, 0, 5850, true));
        await("the notification", () -> server.notified(EP, "/3311/0/5850").contains(true));
        assertEquals(true, read("/3311/0/5850"));
        done(new WriteRequest(3311, 0, 5851, 40L));
        assertEquals(40L, read("/3311/0/5851"));
        assertEquals(ResponseCode.BAD_REQUEST, ask(new WriteRequest(3311, 0, 5851, 101L)).getCode());
        done(new WriteRequest(3311, 0, 5706, "#ff8800"));
        assertEquals("#ff8800", read("/3311/0/5706"));
        done(new WriteRequest(3311, 0, 5852, 0L));
        assertEquals(ResponseCode.BAD_REQUEST, ask(new WriteRequest(3311, 0, 5852, 1L)).getCode());
        done(new WriteRequest(3306, 0, 5850, true));
        assertEquals(true, read("/3306/0/5850"));
        assertEquals(1, counted("/3311/0/5850").get("writes").asInt());
        assertTrue(counted("/3311/0/5850").get("value").asBoolean());
        assertEquals(40, counted("/3311/0/5851").get("value").asInt());
        assertEquals(1, counted("/3311/0/5851").get("writes").asInt(), "a refused write does not count");
        // one refused value makes the whole write fail
        assertEquals(ResponseCode.BAD_REQUEST, ask(new WriteRequest(Mode.UPDATE, 3311, 0,
                LwM2mSingleResource.newIntegerResource(5851, 1000))).getCode());
    }

    @Test
    void theServerObjectIsEffective() throws Exception {
        start("--send", "--counted", "--interval", "0.02");
        assertEquals("1.1", server.registration(EP).getSupportedVersion(1).toString());
        done(new WriteRequest(1, 0, 1, 4321L));
        await("the lifetime in the registration", () -> server.registration(EP).getLifeTimeInSec() == 4321);
        assertEquals(4321L, read("/1/0/1"));
        assertEquals(ResponseCode.BAD_REQUEST, ask(new WriteRequest(1, 0, 1, 0L)).getCode());
        server.events.clear();
        done(new ExecuteRequest(1, 0, 8));
        await("the update", () -> server.events.contains("updated " + EP));

        await("samples", () -> !server.samples.isEmpty());
        done(new WriteRequest(1, 0, 23, true));
        AtomicInteger before = new AtomicInteger(-1);
        AtomicLong produced = new AtomicLong();
        await("ten values of which none is sent", () -> {
            if (before.getAndSet(server.samples.size()) != server.samples.size()) {
                produced.set(device.counters().produced.get());
            }
            return device.counters().produced.get() > produced.get() + 10;
        });
        done(new WriteRequest(1, 0, 23, false));
        await("the values of the pause", () -> server.samples.size() > before.get() + 10);
        for (int i = 0; i < server.samples.size(); i++) {
            assertEquals((double) i, server.samples.get(i).value());
        }
    }

    @Test
    void everyTypeIsWrittenAndReadInEveryFormat() throws Exception {
        start("--test-object");
        Map<Integer, Object> values = new HashMap<>();
        values.put(0, "Grüße \"1\"/2");
        values.put(1, -9_000_000_000L);
        values.put(2, ULong.valueOf("18446744073709551615"));
        values.put(3, -1.25e-7);
        values.put(4, false);
        values.put(5, new byte[] { 0, -1, 16 });
        values.put(6, new Date(1_700_000_000_000L));
        values.put(7, new ObjectLink(3303, 0));
        values.put(8, new Link[] { new Link("/3303/0"), new Link("/1") });
        var model = TestObject.model();
        for (ContentFormat format : List.of(ContentFormat.TLV, ContentFormat.SENML_JSON, ContentFormat.SENML_CBOR)) {
            for (Map.Entry<Integer, Object> value : values.entrySet()) {
                int id = value.getKey();
                ResourceModel.Type type = model.resources.get(id).type;
                done(new ExecuteRequest(33000, 0, 33));
                done(new WriteRequest(Mode.REPLACE, format, new LwM2mPath(33000, 0, id),
                        LwM2mSingleResource.newResource(id, value.getValue(), type)));
                assertSame(format, value.getValue(), read("/33000/0/" + id));
                if (id == 8) {
                    continue;
                }
                int several = 10 + id;
                done(new WriteRequest(Mode.UPDATE, format, new LwM2mPath(33000, 0, several),
                        LwM2mMultipleResource.newResource(several, Map.of(7, value.getValue()), type)));
                LwM2mMultipleResource merged = (LwM2mMultipleResource) read("/33000/0/" + several);
                assertEquals(3, merged.getInstances().size(), format + " " + several);
                assertSame(format, value.getValue(), merged.getInstance(7).getValue());
                assertSame(format, value.getValue(), read("/33000/0/" + several + "/7"));
                done(new WriteRequest(Mode.REPLACE, format, new LwM2mPath(33000, 0, several),
                        LwM2mMultipleResource.newResource(several, Map.of(5, value.getValue()), type)));
                merged = (LwM2mMultipleResource) read("/33000/0/" + several);
                assertEquals(List.of(5), List.copyOf(merged.getInstances().keySet()));
            }
        }
        ReadResponse whole = ask(new ReadRequest("/33000/0"));
        assertEquals(22, ((LwM2mObjectInstance) whole.getContent()).getResources().size());
        assertEquals(ResponseCode.METHOD_NOT_ALLOWED, ask(new ReadRequest("/33000/0/22")).getCode());
        assertEquals(ResponseCode.METHOD_NOT_ALLOWED, ask(new WriteRequest(33000, 0, 23, "x")).getCode());
        assertEquals(ResponseCode.BAD_REQUEST, ask(new WriteRequest(33000, 0, 20, 101L)).getCode());
        assertEquals(ResponseCode.BAD_REQUEST, ask(new ExecuteRequest(33000, 0, 34)).getCode());
        assertEquals(ResponseCode.NOT_FOUND, ask(new ReadRequest("/33000/9")).getCode());
        done(new ExecuteRequest(33000, 0, 30, "0='a-b',1"));
        assertEquals("0='a-b',1", read("/33000/0/31"));
        assertEquals(1L, read("/33000/0/32"));
        assertEquals("0='a-b',1", counted("/33000/0/30").get("arguments").asText());
        assertEquals(1, counted("/33000/0/30").get("executes").asInt());
        assertTrue(counted("/33000/0/34").isMissingNode());
    }

    private static void assertSame(ContentFormat format, Object expected, Object value) {
        if (expected instanceof Link[] links) {
            assertEquals(text(links), text((Link[]) value), format.toString());
        } else if (expected instanceof byte[] bytes) {
            assertArrayEquals(bytes, (byte[]) value, format.toString());
        } else {
            assertEquals(expected, value, format.toString());
        }
    }

    private static String text(Link[] links) {
        return Arrays.stream(links).map(Link::toCoreLinkFormat).collect(Collectors.joining(","));
    }

    private boolean linked(String path) {
        return Arrays.stream(server.registration(EP).getObjectLinks())
                .anyMatch(link -> link.getUriReference().equals(path));
    }

    @Test
    void createdAndDeletedInstancesAreRegistered() throws Exception {
        start("--test-object");
        Link root = server.registration(EP).getObjectLinks()[0];
        assertTrue(linked("/33000/0"));
        CreateResponse chosen = ask(new CreateRequest(33000, LwM2mSingleResource.newStringResource(0, "mine")));
        assertEquals("/33000/1", "/" + chosen.getLocation().replaceFirst("^/", ""));
        await("its link", () -> linked("/33000/1"));
        assertEquals("mine", read("/33000/1/0"));
        done(new CreateRequest(33000, new LwM2mObjectInstance(7, LwM2mSingleResource.newIntegerResource(1, 5))));
        await("its link", () -> linked("/33000/7"));
        assertEquals(ResponseCode.BAD_REQUEST, ask(new CreateRequest(33000,
                new LwM2mObjectInstance(7, LwM2mSingleResource.newIntegerResource(1, 5)))).getCode());
        assertEquals(ResponseCode.BAD_REQUEST,
                ask(new CreateRequest(33000, LwM2mSingleResource.newIntegerResource(20, 500))).getCode());
        done(new WriteRequest(Mode.REPLACE, 33000, 7, LwM2mSingleResource.newStringResource(0, "other")));
        assertEquals(0L, read("/33000/7/1"), "a replaced instance has first values for the rest");
        done(new DeleteRequest(33000, 1));
        await("its link to go", () -> !linked("/33000/1"));
        assertEquals(ResponseCode.NOT_FOUND, ask(new DeleteRequest(33000, 1)).getCode());
        assertEquals(1, device.counters().registrations.get());
        assertEquals(root.toString(), server.registration(EP).getObjectLinks()[0].toString());
        assertEquals(1, counted("/33000/1").get("creates").asInt());
        assertEquals(1, counted("/33000/1").get("deletes").asInt());
        assertEquals(2, device.counters().creates.get());
    }

    @ParameterizedTest
    @CsvSource({ "bad_request,BAD_REQUEST", "unauthorized,UNAUTHORIZED", "not_found,NOT_FOUND",
            "method_not_allowed,METHOD_NOT_ALLOWED", "internal_error,INTERNAL_SERVER_ERROR" })
    void refusesOnDemand(String kind, String name) throws Exception {
        start("--fault", "/3311=" + kind + "*2", "--fault", "sim-2:/=silent", "--fault", "/3@execute=" + kind);
        ResponseCode code = ResponseCode.fromName(name);
        assertEquals(code, ask(new ReadRequest("/3311/0/5850")).getCode());
        assertEquals(code, ask(new WriteRequest(3311, 0, 5850, true)).getCode());
        assertEquals(false, read("/3311/0/5850"), "not done, and the third time it works");
        assertEquals(code, ask(new ExecuteRequest(3, 0, 4)).getCode());
        read("/3/0/0");
        assertEquals(2, counted("/3311/0/5850").get("faults").asInt());
        assertEquals(0, device.counters().reboots.get());
    }

    @Test
    void losesRequestsAndAnswersOnDemand() throws Exception {
        start("--test-object", "--fault", "/33000/0/30=silent*1", "--fault", "/33000/0/30=ack_then_silent*1",
                "--fault", "/33000/0/30=execute_then_silent*1", "--fault", "/33000/0/30=late:0.3*1");
        for (int i = 0; i < 2; i++) {
            assertNull(server.ask(EP, new ExecuteRequest(33000, 0, 30), SHORT));
            assertEquals(0L, read("/33000/0/32"), "not done");
        }
        assertNull(server.ask(EP, new ExecuteRequest(33000, 0, 30, "3"), SHORT));
        assertEquals(1L, read("/33000/0/32"), "done, the answer is lost");
        long begun = System.nanoTime();
        done(new ExecuteRequest(33000, 0, 30, "4"));
        assertTrue(System.nanoTime() - begun >= TimeUnit.MILLISECONDS.toNanos(300));
        assertEquals(2L, read("/33000/0/32"));
        assertEquals(2, counted("/33000/0/30").get("executes").asInt());
        assertEquals(4, counted("/33000/0/30").get("faults").asInt());
        assertEquals("4", counted("/33000/0/30").get("arguments").asText());
    }

    @Test
    void aRepeatedMessageIsDoneOnce() throws Exception {
        // the server's first repetition comes after two to three seconds, the answer is lost for good
        start("--test-object", "--fault", "/33000/0/30=execute_then_silent");
        assertNull(server.ask(EP, new ExecuteRequest(33000, 0, 30), Duration.ofMillis(3500)));
        assertEquals(1, counted("/33000/0/30").get("executes").asInt());
    }

    @Test
    void vanishesAndRegistersAgainOnDemand() throws Exception {
        start("--fault", "/3/0/4=die:0.5*1", "--fault", "/3311=reregister:0.4*1");
        assertNull(server.ask(EP, new ExecuteRequest(3, 0, 4), Duration.ofMillis(300)));
        assertNull(server.ask(EP, new ReadRequest("/3/0/0"), Duration.ofMillis(100)), "it is gone");
        await("back", () -> device.counters().registrations.get() == 2 && device.isRegistered());
        await("the server to know", () -> server.events.contains("replaced " + EP));
        assertEquals(0, device.counters().reboots.get());
        server.events.clear();
        // Leshan gives up what is under way when a device registers anew: the answer finds nobody
        assertThrows(RequestCanceledException.class, () -> server.ask(EP, new WriteRequest(3311, 0, 5850, true)));
        await("the new registration", () -> server.events.contains("replaced " + EP));
        await("the third", () -> device.counters().registrations.get() == 3);
        assertEquals(1, counted("/3311/0/5850").get("writes").asInt());
        assertEquals(true, read("/3311/0/5850"));
    }

    @Test
    void faultsComeAndGoWithTheirFile() throws Exception {
        Path file = folder.resolve("faults");
        start("--fault-file", file.toString());
        read("/3/0/0");
        Files.writeString(file, "# for a while\n\nsim-1:/3/0/0@read=unauthorized\n");
        assertEquals(ResponseCode.UNAUTHORIZED, ask(new ReadRequest("/3/0/0")).getCode());
        Files.writeString(file, "nonsense\n");
        assertEquals(ResponseCode.UNAUTHORIZED, ask(new ReadRequest("/3/0/0")).getCode());
        Files.delete(file);
        read("/3/0/0");
    }

    @Test
    void aLongWayTakesItsTime() throws Exception {
        start("--round-trip", "100");
        long begun = System.nanoTime();
        for (int i = 0; i < 5; i++) {
            read("/3/0/0");
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - begun);
        assertTrue(millis >= 500 && millis < 1500, millis + " ms");
    }

    @Test
    void anAnsweredRequestKeepsASleeperAwake() throws Exception {
        start("--sleepers", "1", "--awake-seconds", "1", "--sleep-seconds", "600", "--round-trip", "100");
        long begun = System.nanoTime();
        int answered = 0;
        while (System.nanoTime() - begun < TimeUnit.SECONDS.toNanos(3)) {
            read("/3/0/0");
            answered++;
        }
        assertTrue(answered >= 10, answered + " requests");
        assertEquals(0, device.counters().wakes.get());
        await("asleep", device::isAsleep);
    }

    @Test
    void compositeRequestsWork() throws Exception {
        start("--test-object");
        done(new WriteCompositeRequest(ContentFormat.SENML_CBOR, Map.of(new LwM2mPath(3311, 0, 5850),
                LwM2mSingleResource.newBooleanResource(5850, true), new LwM2mPath(33000, 0, 0),
                LwM2mSingleResource.newStringResource(0, "both"), new LwM2mPath(33000, 0, 11, 4),
                LwM2mResourceInstance.newIntegerInstance(4, 44)), null));
        ReadCompositeResponse both = ask(new ReadCompositeRequest(ContentFormat.SENML_JSON, ContentFormat.SENML_JSON,
                "/3311/0/5850", "/33000/0/0", "/33000/0/11/4"));
        assertEquals(true, ((LwM2mResource) both.getContent("/3311/0/5850")).getValue());
        assertEquals("both", ((LwM2mResource) both.getContent("/33000/0/0")).getValue());
        assertEquals(44L, ((LwM2mResourceInstance) both.getContent("/33000/0/11/4")).getValue());
        assertEquals(ResponseCode.BAD_REQUEST, ask(new WriteCompositeRequest(ContentFormat.SENML_CBOR, Map.of(
                new LwM2mPath(3311, 0, 5851), LwM2mSingleResource.newIntegerResource(5851, 500)), null)).getCode());
        done(new ObserveCompositeRequest(ContentFormat.SENML_CBOR, ContentFormat.SENML_CBOR, "/3311/0/5851",
                "/33000/0/0"));
        done(new WriteRequest(3311, 0, 5851, 7L));
        await("the composite notification", () -> !server.notified(EP, "composite").isEmpty());
    }

    private void attributes(String path, LwM2mAttribute<?>... attributes) throws InterruptedException {
        done(new WriteAttributesRequest(path, new LwM2mAttributeSet(attributes)));
    }

    @Test
    void attributesHoldForObservations() throws Exception {
        start();
        attributes("/3311/0/5851", LwM2mAttributes.create(LwM2mAttributes.GREATER_THAN, 50.0));
        server.observe(EP, "/3311/0/5851");
        await("observed", () -> server.events.contains("observed /3311/0/5851"));
        LwM2mLink[] links = ask(new DiscoverRequest("/3311/0/5851")).getObjectLinks();
        assertEquals("</3311/0/5851>;gt=50", links[0].toCoreLinkFormat().replace("50.0", "50"));
        // it is at 100, above the bound; 90 crosses nothing, 10 does, and the way back
        done(new WriteRequest(3311, 0, 5851, 90L));
        done(new WriteRequest(3311, 0, 5851, 10L));
        await("the crossing", () -> server.notified(EP, "/3311/0/5851").contains(10L));
        done(new WriteRequest(3311, 0, 5851, 20L));
        done(new WriteRequest(3311, 0, 5851, 60L));
        await("the way back", () -> server.notified(EP, "/3311/0/5851").contains(60L));
        done(new WriteRequest(3311, 0, 5851, 70L));
        assertEquals(List.of(10L, 60L), server.notified(EP, "/3311/0/5851"));
        // and from now on steps, for the observation that is there
        attributes("/3311/0/5851", LwM2mAttributes.create(LwM2mAttributes.GREATER_THAN),
                LwM2mAttributes.create(LwM2mAttributes.STEP, 20.0));
        done(new WriteRequest(3311, 0, 5851, 80L));
        done(new WriteRequest(3311, 0, 5851, 95L));
        await("the step", () -> server.notified(EP, "/3311/0/5851").contains(95L));
        assertEquals(List.of(10L, 60L, 95L), server.notified(EP, "/3311/0/5851"));
    }

    @Test
    void periodsHoldForObservationsThatAreThere() throws Exception {
        start("--interval", "0.05");
        server.observe(EP, "/3303/0/5700");
        await("values", () -> server.notified(EP, "/3303/0/5700").size() > 5);
        attributes("/3303/0/5700", LwM2mAttributes.create(LwM2mAttributes.MINIMUM_PERIOD, 1L));
        await("what was on its way", device::isQuiet);
        int before = server.notified(EP, "/3303/0/5700").size();
        await("two more", () -> server.notified(EP, "/3303/0/5700").size() >= before + 2);
        long begun = System.nanoTime();
        int now = server.notified(EP, "/3303/0/5700").size();
        await("two more", () -> server.notified(EP, "/3303/0/5700").size() >= now + 2);
        assertTrue(System.nanoTime() - begun > TimeUnit.MILLISECONDS.toNanos(900), "one a second at most");
    }
}
