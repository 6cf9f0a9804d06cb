package flownexus.fleet;

import static flownexus.fleet.TestServer.await;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import flownexus.models.ObjectModels;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.eclipse.leshan.servers.security.SecurityInfo;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Object 5 as real devices do it, and as they fail at it. */
@Timeout(60)
class FirmwareTest {

    private static final ObjectModels MODELS = ObjectModels.load(List.of());
    private static final String EP = "sim-1";
    private static final String STATE = "/5/0/3";
    private static final String RESULT = "/5/0/5";
    private static final String KEY = "000102030405060708090a0b0c0d0e0f";
    private static final Duration SHORT = Duration.ofMillis(700);

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
        start(TestServer.plain(STATE, RESULT), flags);
    }

    private void start(TestServer with, String... flags) throws Exception {
        server = with;
        open.add(server);
        List<String> all = new ArrayList<>(List.of("--server", server.uri().toString(), "--count", "1", "--interval",
                "5", "--backoff", "0.2", "--backoff-max", "0.4", "--boot-seconds", "0.2", "--install-seconds", "0.2"));
        all.addAll(Arrays.asList(flags));
        fleet = new Fleet(CommandLineTest.settings(all.toArray(String[]::new)), MODELS);
        open.add(fleet);
        fleet.start();
        device = fleet.devices().get(0);
        awaitObserved(1);
    }

    /** The so many-th registration is complete, with its observations. */
    private void awaitObserved(int registrations) throws InterruptedException {
        await(registrations + " registrations", () -> server.registration(EP) != null && device.isRegistered()
                && device.counters().registrations.get() >= registrations);
        await("observed", () -> server.events.stream()
                .filter(("observed " + EP + " " + RESULT + " CONTENT(205)")::equals).count() >= registrations);
    }

    private static byte[] image(String version, int size) {
        byte[] image = new byte[size];
        new Random(size).nextBytes(image);
        byte[] line = ("version:" + version + "\n").getBytes(StandardCharsets.UTF_8);
        System.arraycopy(line, 0, image, 0, line.length);
        return image;
    }

    private static String sha256(byte[] content) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
    }

    private LwM2mResponse push(byte[] image) throws InterruptedException {
        return server.ask(EP, new WriteRequest(ContentFormat.OPAQUE, 5, 0, 0, image));
    }

    private LwM2mResponse push(byte[] image, Duration timeout) throws InterruptedException {
        return server.ask(EP, new WriteRequest(ContentFormat.OPAQUE, 5, 0, 0, image), timeout);
    }

    private void pull(byte[] image) throws InterruptedException {
        server.packages.put("image", image);
        writeUri(server.packageUri("image"));
    }

    private void writeUri(String uri) throws InterruptedException {
        assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(5, 0, 1, uri)));
    }

    private void deliver(String way, byte[] image) throws InterruptedException {
        if (way.equals("push")) {
            assertCode(ResponseCode.CHANGED, push(image));
        } else {
            pull(image);
        }
    }

    private LwM2mResponse execute() throws InterruptedException {
        return server.ask(EP, new ExecuteRequest(5, 0, 2), SHORT.multipliedBy(4));
    }

    private static void assertCode(ResponseCode expected, LwM2mResponse response) {
        assertNotNull(response, "no answer");
        assertEquals(expected, response.getCode(), () -> response.getErrorMessage());
    }

    private Object read(String path) throws InterruptedException {
        ReadResponse response = server.ask(EP, new ReadRequest(path));
        assertCode(ResponseCode.CONTENT, response);
        return response.getContent() instanceof LwM2mSingleResource single ? single.getValue() : response.getContent();
    }

    private Map<String, Object> firmware() {
        return device.firmware().get(0);
    }

    private void awaitState(int state, int result) throws InterruptedException {
        await("State " + state + ", Result " + result + " instead of " + firmware(),
                () -> firmware().get("state").equals(state) && firmware().get("result").equals(result));
    }

    private void assertStateAndResult(long state, long result) throws InterruptedException {
        assertEquals(state, read(STATE));
        assertEquals(result, read(RESULT));
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void anUpdateComesToItsEnd(String way) throws Exception {
        start();
        byte[] image = image("2.5.0", 100_001);
        deliver(way, image);
        awaitState(2, 0);
        await("the notification", () -> server.notified(EP, STATE).contains(2L));
        assertTrue(server.notified(EP, STATE).contains(1L), "State 1 was shown");
        assertStateAndResult(2, 0);
        assertEquals("1.0.0", read("/5/0/7"));
        assertEquals("1.0.0", read("/3/0/3"));

        assertCode(ResponseCode.CHANGED, execute());
        await("State 3", () -> server.notified(EP, STATE).contains(3L));
        awaitObserved(2);
        assertFalse(server.events.contains("unregistered " + EP), "it said goodbye");
        assertTrue(server.events.contains("replaced " + EP));
        assertStateAndResult(0, 1);
        assertEquals("2.5.0", read("/5/0/7"));
        assertEquals("2.5.0", read("/3/0/3"));

        Path file = folder.resolve("report.jsonl");
        new Report(file).write(List.of(device));
        JsonNode report = new ObjectMapper().readTree(Files.readAllLines(file).get(0)).path("firmware").get(0);
        assertEquals(sha256(image), report.get("sha256").asText());
        assertEquals(image.length, report.get("size").asInt());
        assertEquals("2.5.0", report.get("version").asText());
        assertEquals(way.equals("push") ? 1 : 0, report.get("pushes").asInt());
        assertEquals(way.equals("pull") ? 1 : 0, report.get("pulls").asInt());
        assertEquals(1, report.get("executes").asInt());
        assertEquals(1, report.get("installs").asInt());
        assertEquals(0, report.get("state").asInt());
        assertEquals(1, report.get("result").asInt());
    }

    @ParameterizedTest
    @CsvSource({ "integrity, push, 5, CHANGED", "integrity, pull, 5, CHANGED", "unsupported, push, 6, CHANGED",
            "unsupported, pull, 6, CHANGED", "no-space, push, 2, REQUEST_ENTITY_TOO_LARGE", "no-space, pull, 2, CHANGED",
            "no-memory, push, 3, INTERNAL_SERVER_ERROR", "no-memory, pull, 3, CHANGED", "uri, pull, 7, CHANGED",
            "protocol, pull, 9, CHANGED" })
    void aBadDeliveryHasItsResult(String kind, String way, int result, String code) throws Exception {
        start("--fault", EP + ":/5/0=" + kind + "*1");
        byte[] image = image("2.0.0", 20_000);
        server.packages.put("image", image);
        LwM2mResponse answer = way.equals("push") ? push(image)
                : server.ask(EP, new WriteRequest(5, 0, 1, server.packageUri("image")));
        assertNotNull(answer);
        assertEquals(code, answer.getCode().getName());
        awaitState(0, result);
        await("the notification", () -> server.notified(EP, RESULT).contains((long) result));
        assertStateAndResult(0, result);
        assertEquals(result == 5 || result == 6 ? sha256(image) : null, firmware().get("sha256"));
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, execute());
        // the second one is taken, and says that the result is not yet known
        deliver(way, image);
        awaitState(2, 0);
        await("the result is taken back", () -> server.notified(EP, RESULT).contains(0L));
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void aLostConnectionIsToldAfterwards(String way) throws Exception {
        start("--fault", "sim-?:/5=lost@30000:0.5*1");
        byte[] image = image("2.0.0", 60_000);
        long begun = System.nanoTime();
        if (way.equals("push")) {
            // the new registration ends the request
            assertThrows(RequestCanceledException.class, () -> push(image));
        } else {
            pull(image);
        }
        awaitObserved(2);
        assertTrue(System.nanoTime() - begun > 500_000_000, "it was away");
        assertStateAndResult(0, 4);
        assertNull(firmware().get("sha256"));
        assertFalse(server.events.contains("unregistered " + EP));
        deliver(way, image);
        awaitState(2, 0);
        assertEquals(sha256(image), firmware().get("sha256"));
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void aSilentDeviceGoesOnWhenTheFaultIsGone(String way) throws Exception {
        Path faults = folder.resolve("faults");
        Files.writeString(faults, "/5=silent@30000\n");
        start("--fault-file", faults.toString());
        byte[] image = image("2.0.0", 60_000);
        if (way.equals("push")) {
            CompletableFuture<LwM2mResponse> answer = CompletableFuture.supplyAsync(() -> {
                try {
                    return push(image);
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
            await("the silence", () -> received() > 29_000);
            assertStateAndResult(1, 0);
            assertFalse(answer.isDone());
            Files.delete(faults);
            assertCode(ResponseCode.CHANGED, answer.get());
        } else {
            pull(image);
            await("the silence", () -> received() > 30_000);
            assertStateAndResult(1, 0);
            Files.delete(faults);
        }
        awaitState(2, 0);
        assertEquals(sha256(image), firmware().get("sha256"));
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void aSilentDeviceCanBeReset(String way) throws Exception {
        start("--fault", "/5=silent@2000*1");
        byte[] image = image("2.0.0", 10_000);
        if (way.equals("push")) {
            assertNull(push(image, SHORT));
        } else {
            pull(image);
        }
        await("the silence", () -> received() > 0);
        assertStateAndResult(1, 0);
        writeUri("");
        assertStateAndResult(0, 0);
        deliver(way, image);
        awaitState(2, 0);
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void aSlowDeviceTakesItsTimeForEachBlock(String way) throws Exception {
        start("--fault", "/5=slow:0.05");
        long begun = System.nanoTime();
        deliver(way, image("2.0.0", 10 * 1024));
        awaitState(2, 0);
        assertTrue(System.nanoTime() - begun > 9 * 50_000_000L);
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void aDeviceHangsWithAllOfItsPackage(String way) throws Exception {
        start("--fault", "/5=hang-1*1");
        byte[] image = image("2.0.0", 5000);
        deliver(way, image);
        await("all of it", () -> sizeIs(5000));
        assertStateAndResult(1, 0);
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, execute());
        assertCode(ResponseCode.CHANGED, push(new byte[0]));
        assertStateAndResult(0, 0);
        deliver(way, image);
        awaitState(2, 0);
    }

    private long received() {
        return (long) firmware().get("received");
    }

    private boolean sizeIs(long size) {
        return Long.valueOf(size).equals(firmware().get("size"));
    }

    @ParameterizedTest
    @CsvSource({ "hang-2, 2, 0, 1.0.0, 1, 0", "hang-3, 3, 0, 1.0.0, 1, 0", "install-failed, 0, 8, 1.0.0, 1, 0",
            "install-failed-2, 2, 8, 1.0.0, 1, 0", "constant-version, 0, 1, 1.0.0, 2, 1",
            "no-change, 0, 0, 1.0.0, 2, 0", "other-version:9.9, 0, 1, 9.9, 2, 1", "cancelled, 0, 10, 1.0.0, 1, 0",
            "deferred, 2, 11, 1.0.0, 1, 0", "execute-mute, 0, 1, 2.0.0, 2, 1", "execute-lost, 2, 0, 1.0.0, 1, 0" })
    void anInstallationEndsAsTheFaultWants(String kind, int state, int result, String version, int registrations,
            long installs) throws Exception {
        start("--fault", "/5=" + kind + "*1");
        deliver("push", image("2.0.0", 3000));
        boolean answered = !kind.startsWith("execute");
        if (answered) {
            assertCode(ResponseCode.CHANGED, execute());
        } else if (kind.equals("execute-lost")) {
            assertNull(server.ask(EP, new ExecuteRequest(5, 0, 2), SHORT));
        } else {
            assertThrows(RequestCanceledException.class, this::execute);
        }
        if (registrations == 2) {
            awaitObserved(2);
        }
        awaitState(state, result);
        assertStateAndResult(state, result);
        assertEquals(version, read("/3/0/3"));
        assertEquals(version, read("/5/0/7"));
        assertEquals(installs, firmware().get("installs"));
        assertEquals(kind.equals("execute-lost") ? 0L : 1L, firmware().get("executes"));
        assertEquals(registrations, device.counters().registrations.get());
        if (state == 3) {
            assertCode(ResponseCode.METHOD_NOT_ALLOWED, push(new byte[0]));
            assertCode(ResponseCode.METHOD_NOT_ALLOWED, push(image("3", 3000)));
            assertCode(ResponseCode.METHOD_NOT_ALLOWED, server.ask(EP, new WriteRequest(5, 0, 1, "")));
            assertCode(ResponseCode.METHOD_NOT_ALLOWED, execute());
        } else if (state == 2) {
            assertCode(ResponseCode.CHANGED, execute());
            awaitObserved(2);
            assertStateAndResult(0, 1);
            assertEquals("2.0.0", read("/3/0/3"));
        }
    }

    @Test
    void aHangingInstallationSurvivesRebootsUntilTheFaultIsGone() throws Exception {
        Path faults = folder.resolve("faults");
        Files.writeString(faults, "# State 3\n/5=hang-3\n");
        start("--fault-file", faults.toString());
        deliver("push", image("2.0.0", 3000));
        assertCode(ResponseCode.CHANGED, execute());
        assertCode(ResponseCode.CHANGED, server.ask(EP, new ExecuteRequest(3, 0, 4)));
        awaitObserved(2);
        assertStateAndResult(3, 0);
        Files.delete(faults);
        assertCode(ResponseCode.CHANGED, server.ask(EP, new ExecuteRequest(3, 0, 4)));
        awaitObserved(3);
        assertStateAndResult(2, 0);
        assertCode(ResponseCode.CHANGED, execute());
        awaitObserved(4);
        assertStateAndResult(0, 1);
    }

    @Test
    void anUnconfirmedImageIsRolledBack() throws Exception {
        start("--fault", "/5=rollback:0.5*1");
        deliver("push", image("2.0.0", 3000));
        assertCode(ResponseCode.CHANGED, execute());
        awaitObserved(2);
        assertEquals("2.0.0", read("/3/0/3"));
        assertStateAndResult(0, 1);
        awaitObserved(3);
        assertEquals("1.0.0", read("/3/0/3"));
        assertEquals("1.0.0", read("/5/0/7"));
        assertStateAndResult(0, 1);
    }

    @Test
    void statesRefuseWhatDoesNotFit() throws Exception {
        start();
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, execute());
        byte[] image = image("2.0.0", 3000);
        deliver("push", image);
        assertCode(ResponseCode.BAD_REQUEST, push(image));
        assertCode(ResponseCode.BAD_REQUEST, server.ask(EP, new WriteRequest(5, 0, 1, server.packageUri("image"))));
        assertCode(ResponseCode.CHANGED, server.ask(EP, new ExecuteRequest(3, 0, 4)));
        awaitObserved(2);
        assertStateAndResult(2, 0);
        assertCode(ResponseCode.CHANGED, push(new byte[] { 0 }));
        assertStateAndResult(0, 0);
        deliver("push", image);
        writeUri("");
        assertStateAndResult(0, 0);
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, server.ask(EP, new ReadRequest(5, 0, 0)));
        assertCode(ResponseCode.NOT_FOUND, server.ask(EP, new WriteRequest(ContentFormat.OPAQUE, 5, 1, 0, image)));
    }

    @ParameterizedTest
    @CsvSource({ "http://127.0.0.1/x, 9", "coaps://127.0.0.1/x, 9", "coap:///x, 7", "/x, 7", "coap://a b/x, 7",
            "coap://127.0.0.1:9/x, 4" })
    void aUriOfNoUseHasItsResult(String uri, int result) throws Exception {
        start("--firmware-protocols", "0,1,2", "--ack-timeout", "0.2", "--max-retransmit", "1");
        writeUri(uri);
        awaitState(0, result);
        assertStateAndResult(0, result);
    }

    @Test
    void aPackageThatIsNotThereIsAnInvalidUri() throws Exception {
        start();
        writeUri(server.packageUri("nothing"));
        awaitState(0, 7);
        assertEquals("", read("/5/0/1"));
    }

    @Test
    void aDeviceSaysHowItWantsItsPackages() throws Exception {
        start("--firmware-method", "0", "--firmware-protocols", "1,3", "--firmware-version", "0.9",
                "--firmware-report-state-1", "no", "--fault", "/5=silent@2000*1");
        assertEquals(0L, read("/5/0/9"));
        LwM2mMultipleResource protocols = (LwM2mMultipleResource) read("/5/0/8");
        assertEquals(Map.of(0, 1L, 1, 3L), Map.of(0, protocols.getValue(0), 1, protocols.getValue(1)));
        assertEquals("0.9", read("/3/0/3"));
        byte[] image = image("2.0.0", 9000);
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, push(image));
        writeUri(server.packageUri("image"));
        awaitState(0, 9);
    }

    @Test
    void aDeviceThatTakesOnlyPushesHidesItsDownload() throws Exception {
        start("--firmware-method", "1", "--firmware-report-state-1", "no", "--fault", "/5=hang-1*1");
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, server.ask(EP, new WriteRequest(5, 0, 1, "coap://127.0.0.1/x")));
        deliver("push", image("2.0.0", 9000));
        await("all of it", () -> sizeIs(9000));
        assertEquals(1, firmware().get("state"));
        assertEquals(0L, read(STATE));
        writeUri("");
        deliver("push", image("2.0.0", 9000));
        awaitState(2, 0);
        await("the notification", () -> server.notified(EP, STATE).contains(2L));
        assertFalse(server.notified(EP, STATE).contains(1L));
    }

    @Test
    void instancesAreUpdatedOneByOne() throws Exception {
        start("--firmware-instances", "2", "--fault", "/5/1=integrity*1");
        assertEquals("application", read("/5/0/6"));
        assertEquals("modem", read("/5/1/6"));
        byte[] image = image("modem-7", 5000);
        assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(ContentFormat.OPAQUE, 5, 1, 0, image)));
        assertEquals(5L, read("/5/1/5"));
        assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(ContentFormat.OPAQUE, 5, 1, 0, image)));
        assertCode(ResponseCode.CHANGED, server.ask(EP, new ExecuteRequest(5, 1, 2)));
        awaitObserved(2);
        assertEquals("modem-7", read("/5/1/7"));
        assertEquals(1L, read("/5/1/5"));
        assertEquals("1.0.0", read("/5/0/7"));
        assertEquals("1.0.0", read("/3/0/3"));
        assertEquals(0L, read(RESULT));
    }

    @Test
    void version11HasWhatItAdds() throws Exception {
        start("--firmware-object-version", "1.1");
        assertEquals("1.1", server.registration(EP).getSupportedVersion(5).toString());
        assertCode(ResponseCode.METHOD_NOT_ALLOWED, server.ask(EP, new ExecuteRequest(5, 0, 10)));
        deliver("push", image("2.0.0", 3000));
        assertCode(ResponseCode.CHANGED, server.ask(EP, new ExecuteRequest(5, 0, 10)));
        assertStateAndResult(0, 10);
        assertEquals(1L, read("/5/0/11"));
        assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(5, 0, 11, 2L)));
        assertEquals(2L, read("/5/0/11"));
        assertCode(ResponseCode.BAD_REQUEST, server.ask(EP, new WriteRequest(5, 0, 11, 3L)));
        assertTrue(System.currentTimeMillis() - ((Date) read("/5/0/12")).getTime() < 60_000);
        assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(5, 0, 13, ULong.valueOf(3600L))));
        assertEquals(ULong.valueOf(3600L), read("/5/0/13"));
    }

    @Test
    void version10HasNoCancel() throws Exception {
        start();
        assertEquals("1.0", server.registration(EP).getSupportedVersion(5).toString());
        assertCode(ResponseCode.NOT_FOUND, server.ask(EP, new ExecuteRequest(5, 0, 10)));
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void blocksMayBeSmaller(String way) throws Exception {
        start("--firmware-block-size", "64");
        byte[] image = image("2.0.0", 5001);
        deliver(way, image);
        awaitState(2, 0);
        assertEquals(sha256(image), firmware().get("sha256"));
        assertEquals(5001L, firmware().get("size"));
    }

    @ParameterizedTest
    @ValueSource(ints = { 1, 100, 1024, 1025, 2048, 300_000 })
    void everyFormatAndSizeArrives(int size) throws Exception {
        start();
        byte[] image = new byte[size];
        new Random(size).nextBytes(image);
        image[0] = 1;
        for (ContentFormat format : List.of(ContentFormat.OPAQUE, ContentFormat.TLV)) {
            assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(format, 5, 0, 0, image)));
            awaitState(2, 0);
            assertEquals(sha256(image), firmware().get("sha256"), format.getName());
            assertEquals((long) size, firmware().get("size"));
            assertCode(ResponseCode.CHANGED, server.ask(EP, new WriteRequest(format, 5, 0, 0, new byte[0])));
            assertStateAndResult(0, 0);
        }
        assertEquals(2L, firmware().get("pushes"));
        assertCode(ResponseCode.UNSUPPORTED_CONTENT_FORMAT,
                server.ask(EP, new WriteRequest(ContentFormat.SENML_CBOR, 5, 0, 0, image)));
    }

    @ParameterizedTest
    @ValueSource(strings = { "push", "pull" })
    void aMebibyteOverDtls(String way) throws Exception {
        Path credentials = Files.createDirectories(Credentials.folder(folder, EP));
        Files.writeString(credentials.resolve("psk.identity"), "id-of-" + EP);
        Files.writeString(credentials.resolve("psk.key"), KEY);
        TestServer secured = new TestServer(true, 0, null, List.of(STATE, RESULT));
        secured.security.add(SecurityInfo.newPreSharedKeyInfo(EP, "id-of-" + EP, HexFormat.of().parseHex(KEY)));
        start(secured, "--mode", "psk", "--credentials", folder.toString());
        var address = server.registration(EP).getSocketAddress();
        byte[] image = image("2.0.0", 1 << 20);
        deliver(way, image);
        awaitState(2, 0);
        assertEquals(sha256(image), firmware().get("sha256"));
        if (way.equals("pull")) {
            assertTrue(server.fetched.contains("id-of-" + EP + " image 0"), "with its own identity");
        }
        assertEquals(address, server.registration(EP).getSocketAddress());
        assertStateAndResult(2, 0);
        assertCode(ResponseCode.CHANGED, execute());
        awaitObserved(2);
        assertEquals("2.0.0", read("/3/0/3"));
    }

    @Test
    void aSleeperStaysAwakeForItsDownloadAndItsInstallation() throws Exception {
        start("--sleepers", "1", "--awake-seconds", "0.3", "--sleep-seconds", "30", "--fault", "/5=slow:0.5",
                "--install-seconds", "0.8");
        pull(image("2.0.0", 3000));
        awaitState(2, 0);
        assertFalse(device.isAsleep());
        assertCode(ResponseCode.CHANGED, execute());
        awaitObserved(2);
        assertEquals("2.0.0", read("/3/0/3"));
        await("asleep", device::isAsleep);
    }

    @Test
    void blocksOutOfOrderAreNotTaken() {
        List<Runnable> later = new ArrayList<>();
        FirmwareInstance instance = instance(later);
        byte[] block = new byte[16];
        assertEquals("4.08", code(instance.push(16, 16, block, true)));
        assertEquals("2.31", code(instance.push(0, 16, block, true)));
        assertEquals("2.31", code(instance.push(16, 16, block, true)));
        assertEquals("2.31", code(instance.push(16, 16, block, true)), "the answer was lost");
        assertEquals(32L, instance.figures().get("received"));
        assertEquals("4.08", code(instance.push(48, 16, block, true)));
        assertEquals("2.31", code(instance.push(0, 16, block, true)), "a new beginning");
        assertEquals("2.04", code(instance.push(16, 8, new byte[8], false)));
        assertEquals(24L, instance.figures().get("size"));
        assertEquals(2L, instance.figures().get("pushes"));
        assertEquals("4.00", code(instance.push(0, 16, block, true)));
    }

    private FirmwareInstance instance(List<Runnable> later) {
        Settings.Firmware settings = CommandLineTest.settings("--server", "coap://127.0.0.1").firmware();
        Counters counters = new Counters();
        FirmwareInstance instance = new FirmwareInstance(0, "x", EP, settings,
                new DeviceFaults(EP, new FaultPlan(List.of(), null), counters.operations), counters,
                new FirmwareInstance.Host() {
                    @Override
                    public void later(Runnable task, Duration pause) {
                        later.add(task);
                    }

                    @Override
                    public PackageDownload download(URI from, PackageDownload.Receiver receiver) {
                        throw new IllegalArgumentException("there is nothing to download");
                    }

                    @Override
                    public void reboot() {
                        throw new IllegalStateException("nobody asked for it");
                    }

                    @Override
                    public void log(LogSeverity severity, String text) {
                        // nobody reads it
                    }

                    @Override
                    public void vanish(Duration absence) {
                        throw new IllegalStateException("nobody asked for it");
                    }
                });
        instance.setModel(MODELS.nearest(5, "1.0"));
        return instance;
    }

    private static String code(FirmwareInstance.Answer answer) {
        return answer.code().toString();
    }

    @Test
    void versionsAreReadFromTheBeginning() throws Exception {
        ByteBuffer header = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
        header.putInt(0, 0x96f3b83d).put(20, (byte) 1).put(21, (byte) 200).putShort(22, (short) 40_000);
        assertEquals("1.200.40000", version(header.array()));
        header.putInt(24, 77);
        assertEquals("1.200.40000+77", version(header.array()));
        assertEquals("v 2", version("version: v 2 \nrest".getBytes(StandardCharsets.UTF_8)));
        byte[] opaque = "version:unfinished".getBytes(StandardCharsets.UTF_8);
        assertEquals("sha256:" + sha256(opaque).substring(0, 8), version(opaque));
    }

    /** Whatever the pieces are. */
    private static String version(byte[] image) {
        FirmwarePackage pieces = new FirmwarePackage();
        for (byte octet : image) {
            pieces.add(new byte[] { octet });
        }
        return pieces.complete().version();
    }
}
