package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.net.InetAddress;
import java.net.Socket;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import java.util.stream.Stream;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.FirmwareDevice.Block;
import flownexus.leshan.FirmwareDevice.Identity;
import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.coap.PackagePush;
import flownexus.leshan.json.Json;
import flownexus.leshan.packages.PackageStore;

/** Firmware packages from the upload to the device, against a whole server. */
class PackagesTest {

    private static final byte[] KEY = HexFormat.of().parseHex("00112233445566778899aabbccddeeff");
    private static final String UNKNOWN = "0".repeat(64);

    @TempDir
    static Path folder;

    private static TestServer server;
    private static byte[] image;
    private static String hash;

    @BeforeAll
    static void start() throws Exception {
        server = new TestServer(Files.createDirectory(folder.resolve("server")), false);
        image = image(1 << 20, 1);
        hash = stored(image);
    }

    @AfterAll
    static void end() {
        server.close();
    }

    private static byte[] image(int size, long seed) {
        byte[] octets = new byte[size];
        new Random(seed).nextBytes(octets);
        return octets;
    }

    private static String sha256(byte[] octets) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(octets));
    }

    private static HttpResponse<String> put(String sha256, byte[] octets) throws Exception {
        HttpRequest.Builder request = server.request("/api/packages/" + sha256)
                .PUT(HttpRequest.BodyPublishers.ofByteArray(octets));
        return server.http.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    /** The first line of what is said to somebody who asks before he sends. */
    private static String asked(String sha256, int length) throws Exception {
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.application().httpPort())) {
            socket.getOutputStream().write(("PUT /api/packages/" + sha256 + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                    + TestServer.TOKEN + "\r\nExpect: 100-continue\r\nContent-Length: " + length + "\r\n\r\n")
                            .getBytes(StandardCharsets.US_ASCII));
            return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII)).readLine();
        }
    }

    private static String stored(byte[] octets) throws Exception {
        String sha256 = sha256(octets);
        int status = put(sha256, octets).statusCode();
        assertTrue(status == 201 || status == 204, "status " + status);
        return sha256;
    }

    private static Path packages() {
        return server.folder.resolve("data/packages");
    }

    private static List<String> files() throws Exception {
        try (Stream<Path> files = Files.list(packages())) {
            return files.map(file -> file.getFileName().toString()).toList();
        }
    }

    private static void refused(int status, String text, HttpResponse<String> response) {
        assertEquals(status, response.statusCode(), response.body());
        assertTrue(response.body().contains(text), response.body());
        assertFalse(response.body().contains("\n"), response.body());
    }

    private static FirmwareDevice psk(String endpoint) throws Exception {
        server.provision("{'endpoint':'" + endpoint + "','tls':{'mode':'psk','details':{'identity':'id-" + endpoint
                + "','key':'" + HexFormat.of().formatHex(KEY) + "'}}}");
        return new FirmwareDevice(server, endpoint, Identity.psk("id-" + endpoint, KEY));
    }

    private static FirmwareDevice registered(String endpoint, String... queries) throws Exception {
        FirmwareDevice device = psk(endpoint);
        assertEquals(ResponseCode.CREATED, device.register(queries));
        return device;
    }

    private static FirmwareDevice plain(String endpoint) throws Exception {
        server.provision("{'endpoint':'" + endpoint + "','tls':{'mode':'nosec'}}");
        FirmwareDevice device = new FirmwareDevice(server, endpoint, Identity.plain());
        assertEquals(ResponseCode.CREATED, device.register());
        return device;
    }

    private static JsonNode granted(String endpoint, String sha256) throws Exception {
        return server.json("PUT", "/api/clients/" + endpoint + "/grants/" + sha256, null);
    }

    private static String uri(String endpoint) throws Exception {
        return granted(endpoint, hash).get("uri").asText();
    }

    private static String push(String endpoint, String sha256, String more) {
        return "/api/clients/" + endpoint + "/5/0/0?package=" + sha256 + more;
    }

    private static JsonNode event(EventTail tail, String id) {
        return tail.await("the end of " + id, each -> each.type().equals("REQUEST_RESPONSE")
                && each.data().get("requestId").asText().equals(id)).data();
    }

    private static List<JsonNode> progress(EventTail tail, String endpoint) {
        return tail.events.stream().filter(each -> each.is("PROGRESS", endpoint)).map(EventTail.Event::data).toList();
    }

    private static JsonNode lastProgress(EventTail tail, String endpoint, long sent) {
        return tail.await("PROGRESS of " + endpoint + " at " + sent, each -> each.is("PROGRESS", endpoint)
                && each.data().get("sent").longValue() == sent).data();
    }

    // the store

    @Test
    void aPackageIsKeptUnderItsHash() throws Exception {
        byte[] octets = image(300_000, 2);
        String sha256 = sha256(octets);
        assertEquals(404, server.get("/api/packages/" + sha256).statusCode());
        HttpResponse<String> made = put(sha256, octets);
        assertEquals(201, made.statusCode(), made.body());
        assertEquals(204, put(sha256, octets).statusCode());
        assertEquals("HTTP/1.1 204 No Content", asked(sha256, octets.length));
        assertEquals("{\"sha256\":\"" + sha256 + "\",\"size\":300000}", server.get("/api/packages/" + sha256).body());
        assertTrue(server.get("/api/packages").body().contains(sha256));
        assertArrayEquals(octets, Files.readAllBytes(packages().resolve(sha256)));
        assertEquals("rw-------",
                PosixFilePermissions.toString(Files.getPosixFilePermissions(packages().resolve(sha256))));
        assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(packages())));
        assertEquals(204, server.call("DELETE", "/api/packages/" + sha256, null).statusCode());
        assertEquals(404, server.call("DELETE", "/api/packages/" + sha256, null).statusCode());
        assertFalse(Files.exists(packages().resolve(sha256)));
    }

    @Test
    void whatIsNoGoodIsRefusedInOneLineAndLeavesNothing() throws Exception {
        byte[] octets = image(5000, 3);
        List<String> before = files();
        refused(400, "the body's SHA-256 is " + sha256(octets) + ", not " + UNKNOWN, put(UNKNOWN, octets));
        refused(400, "empty", put(sha256(new byte[0]), new byte[0]));
        refused(413, "--package-limit", put(UNKNOWN, new byte[(4 << 20) + 1]));
        assertEquals("HTTP/1.1 413 Payload Too Large", asked(UNKNOWN, (4 << 20) + 1));
        assertEquals("HTTP/1.1 100 Continue", asked(UNKNOWN, 1000));
        HttpRequest chunked = server.request("/api/packages/" + UNKNOWN).PUT(HttpRequest.BodyPublishers.ofByteArrays(
                List.of(new byte[3 << 20], new byte[3 << 20]))).build();
        refused(413, "--package-limit", server.http.send(chunked, HttpResponse.BodyHandlers.ofString()));
        for (String bad : List.of("abc", UNKNOWN.substring(1), hash.toUpperCase(Locale.ROOT), "..%2F" + hash,
                hash + ".part")) {
            refused(400, "64 hexadecimal digits", put(bad, octets));
        }
        assertEquals(405, server.call("POST", "/api/packages/" + UNKNOWN, "").statusCode());
        eventually("nothing is left", () -> files().equals(before));
    }

    @Test
    void anUploadThatIsCutLeavesNothing() throws Exception {
        List<String> before = files();
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), server.application().httpPort())) {
            OutputStream out = socket.getOutputStream();
            out.write(("PUT /api/packages/" + UNKNOWN + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TestServer.TOKEN
                    + "\r\nContent-Length: 100000\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
            out.write(new byte[40_000]);
            out.flush();
            eventually("it has begun", () -> files().size() == before.size() + 1);
        }
        eventually("it is gone", () -> files().equals(before));
    }

    @Test
    void packagesAndGrantsSurviveARestartAndLitterDoesNot() throws Exception {
        try (TestServer other = new TestServer(Files.createDirectory(folder.resolve("restarted")), true)) {
            byte[] octets = image(2000, 4);
            String sha256 = sha256(octets);
            HttpRequest upload = other.request("/api/packages/" + sha256)
                    .PUT(HttpRequest.BodyPublishers.ofByteArray(octets)).build();
            assertEquals(201, other.http.send(upload, HttpResponse.BodyHandlers.ofString()).statusCode());
            String uri;
            try (RawDevice device = new RawDevice(other, "restarted")) {
                device.register();
                uri = other.json("PUT", "/api/clients/restarted/grants/" + sha256, null).get("uri").asText();
            }
            other.stop();
            Path data = other.folder.resolve("data");
            Files.writeString(data.resolve("packages/01234567-9.part"), "cut");
            assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(data.resolve("grants.json"))));
            other.start();
            assertFalse(Files.exists(data.resolve("packages/01234567-9.part")));
            assertEquals(2000, other.json("GET", "/api/packages/" + sha256, null).get("size").intValue());
            try (RawDevice device = new RawDevice(other, "restarted")) {
                device.register();
                String again = other.json("PUT", "/api/clients/restarted/grants/" + sha256, null).get("uri").asText();
                assertEquals(uri.substring(uri.lastIndexOf('/')), again.substring(again.lastIndexOf('/')));
            }
            // a package that was taken away by hand takes its grants with it
            other.stop();
            Files.delete(data.resolve("packages").resolve(sha256));
            other.start();
            assertEquals("[]", other.get("/api/clients/restarted/grants").body());
        }
    }

    // grants and pull

    @Test
    void aGrantIsAnAddressThatStaysTheSame() throws Exception {
        String grants = "/api/clients/granted/grants";
        refused(400, "No registered client with id 'granted'", server.call("PUT", grants + "/" + hash, null));
        try (FirmwareDevice device = registered("granted")) {
            refused(404, "no package " + UNKNOWN, server.call("PUT", grants + "/" + UNKNOWN, null));
            refused(400, "64 hexadecimal digits", server.call("PUT", grants + "/abc", null));
            JsonNode grant = granted("granted", hash);
            assertEquals(hash, grant.get("sha256").asText());
            assertEquals(image.length, grant.get("size").intValue());
            String uri = grant.get("uri").asText();
            assertTrue(uri.matches("coaps://127\\.0\\.0\\.1:" + server.coapsPort() + "/fw/[A-Za-z0-9_-]{22,}"), uri);
            assertEquals(grant, granted("granted", hash));
            String token = uri.substring(uri.lastIndexOf('/'));
            assertEquals("coaps://fw.example.org:" + server.coapsPort() + "/fw" + token,
                    granted("granted", hash + "?host=fw.example.org").get("uri").asText());
            assertEquals("coaps://[2001:db8::1]:" + server.coapsPort() + "/fw" + token,
                    granted("granted", hash + "?host=2001:db8::1").get("uri").asText());
            refused(400, "host", server.call("PUT", grants + "/" + hash + "?host=a%2Fb", null));
            refused(400, "127", server.call("PUT", grants + "/" + hash + "?host=" + "a".repeat(100), null));
            assertEquals(grant, server.json("GET", grants, null).get(0));
            assertEquals(1, server.json("GET", grants, null).size());
            assertEquals(204, server.call("DELETE", grants + "/" + hash, null).statusCode());
            assertEquals(404, server.call("DELETE", grants + "/" + hash, null).statusCode());
            assertEquals("[]", server.get(grants).body());
            assertEquals(ResponseCode.NOT_FOUND, FirmwareDevice.get(device.session(), uri, 0, 6).getCode());
        }
        try (FirmwareDevice device = plain("granted-plain")) {
            assertTrue(uri("granted-plain").startsWith("coap://127.0.0.1:" + server.application().coapPort() + "/fw/"));
        }
    }

    @Test
    void aPackageThatIsRemovedTakesItsGrantsWithIt() throws Exception {
        byte[] octets = image(3000, 5);
        String sha256 = stored(octets);
        try (FirmwareDevice device = registered("ungranted")) {
            String uri = granted("ungranted", sha256).get("uri").asText();
            CoapEndpoint session = device.session();
            assertArrayEquals(octets, FirmwareDevice.fetch(session, uri, 6));
            assertEquals(204, server.call("DELETE", "/api/packages/" + sha256, null).statusCode());
            assertEquals(ResponseCode.NOT_FOUND, FirmwareDevice.get(session, uri, 1, 6).getCode());
            assertEquals("[]", server.get("/api/clients/ungranted/grants").body());
        }
    }

    @Test
    void aDiskThatHangsHoldsUpNobodyElse() throws Exception {
        byte[] octets = image(3000, 8);
        String sha256 = stored(octets);
        try (FirmwareDevice device = plain("hanging"); FirmwareDevice other = plain("not-hanging")) {
            String uri = granted("hanging", sha256).get("uri").asText();
            Path file = packages().resolve(sha256);
            Files.delete(file);
            // whoever opens it waits until somebody writes
            assertEquals(0, new ProcessBuilder("mkfifo", file.toString()).start().waitFor());
            CoapEndpoint session = device.session();
            List<Request> asked = new ArrayList<>();
            for (int number = 0; number < 8; number++) {
                Request request = Request.newGet();
                request.setURI(uri);
                request.getOptions().setBlock2(6, false, number % 3);
                session.sendRequest(request);
                asked.add(request);
            }
            assertEquals(ResponseCode.CREATED, other.register());
            assertTrue(asked.stream().allMatch(request -> request.getResponse() == null));
            // opened for both, it lets all go on, and cannot be read at a place
            try (RandomAccessFile opened = new RandomAccessFile(file.toFile(), "rw")) {
                for (Request request : asked) {
                    assertEquals(ResponseCode.INTERNAL_SERVER_ERROR, request.waitForResponse(10_000).getCode());
                }
            }
            assertEquals(204, server.call("DELETE", "/api/packages/" + sha256, null).statusCode());
        }
    }

    @Test
    void aDeviceFetchesInASecondSessionByteForByte() throws Exception {
        try (FirmwareDevice device = registered("puller"); EventTail tail = new EventTail(server, "", null)) {
            String before = server.json("GET", "/api/clients/puller", null).get("address").asText();
            assertArrayEquals(image, FirmwareDevice.fetch(device.session(), uri("puller"), 6));
            assertEquals(before, server.json("GET", "/api/clients/puller", null).get("address").asText());
            lastProgress(tail, "puller", image.length);
            List<JsonNode> all = progress(tail, "puller");
            for (int index = 0; index < all.size(); index++) {
                JsonNode each = all.get(index);
                assertEquals("/fw", each.get("path").asText());
                assertEquals(hash, each.get("sha256").asText());
                assertEquals(image.length, each.get("total").intValue());
                assertEquals(1024, each.get("block").intValue());
                assertFalse(each.has("requestId"));
                assertTrue(index == 0
                        || each.get("sent").longValue() > all.get(index - 1).get("sent").longValue(), all.toString());
            }
            atMostTwoASecond(all);
            assertTrue(tail.events.stream().filter(each -> each.type().equals("PROGRESS")).allMatch(each -> each.id() == null));
        }
    }

    private static void atMostTwoASecond(List<JsonNode> all) {
        for (int index = 2; index < all.size(); index++) {
            long time = all.get(index).get("time").longValue() - all.get(index - 2).get("time").longValue();
            // the last one comes in any case; 20 ms for the clock and the timer
            assertTrue(index == all.size() - 1 || time >= 980, all.toString());
        }
    }

    @Test
    void everyBlockSizeAndEveryOrderIsServed() throws Exception {
        byte[] octets = image(5000, 6);
        String sha256 = stored(octets);
        try (FirmwareDevice device = registered("sizes")) {
            String uri = granted("sizes", sha256).get("uri").asText();
            CoapEndpoint session = device.session();
            Response first = FirmwareDevice.get(session, uri, null, 0);
            assertEquals(ResponseCode.CONTENT, first.getCode());
            assertEquals("(szx=6/1024, m=true, num=0)", first.getOptions().getBlock2().toValueString());
            assertEquals(5000, first.getOptions().getSize2());
            assertEquals(MediaTypeRegistry.APPLICATION_OCTET_STREAM, first.getOptions().getContentFormat());
            assertArrayEquals(HexFormat.of().parseHex(sha256, 0, 16), first.getOptions().getETags().get(0).getValue());
            for (int szx = 0; szx <= 6; szx++) {
                assertArrayEquals(octets, FirmwareDevice.fetch(session, uri, szx), "szx " + szx);
            }
            Response last = FirmwareDevice.get(session, uri, 4, 6);
            assertEquals(5000 - 4096, last.getPayloadSize());
            assertFalse(last.getOptions().getBlock2().isM());
            assertArrayEquals(last.getPayload(), FirmwareDevice.get(session, uri, 4, 6).getPayload());
            assertEquals(1024, FirmwareDevice.get(session, uri, 1, 6).getPayloadSize());
            assertEquals(ResponseCode.BAD_OPTION, FirmwareDevice.get(session, uri, 5, 6).getCode());
            assertEquals(ResponseCode.NOT_FOUND, FirmwareDevice.get(session, uri + "x", 0, 6).getCode());
            assertEquals(ResponseCode.NOT_FOUND, FirmwareDevice.get(session, uri + "/x", 0, 6).getCode());
            assertEquals(ResponseCode.NOT_FOUND,
                    FirmwareDevice.get(session, uri.substring(0, uri.lastIndexOf('/')), 0, 6).getCode());
            Request other = Request.newPut();
            other.setURI(uri);
            other.setPayload("x");
            session.sendRequest(other);
            assertEquals(ResponseCode.METHOD_NOT_ALLOWED, other.waitForResponse(10_000).getCode());
        }
    }

    @Test
    void nobodyElseIsServed() throws Exception {
        TestPki.Issued own = server.pki.device("owner");
        TestPki.Issued foreign = server.pki.device("stranger");
        server.provisionX509("owner");
        server.provisionX509("stranger");
        try (FirmwareDevice owner = new FirmwareDevice(server, "owner", Identity.x509(own));
                FirmwareDevice stranger = new FirmwareDevice(server, "stranger", Identity.x509(foreign));
                FirmwareDevice other = registered("other-key"); FirmwareDevice plain = plain("other-plain");
                EventTail tail = new EventTail(server, "", null)) {
            assertEquals(ResponseCode.CREATED, owner.register());
            String uri = uri("owner");
            assertEquals(ResponseCode.CONTENT, FirmwareDevice.get(owner.session(), uri, 3, 6).getCode());
            assertEquals(ResponseCode.FORBIDDEN, FirmwareDevice.get(stranger.session(), uri, 0, 6).getCode());
            assertEquals("stranger", tail.await("REFUSED", "owner").data().get("subject").asText().substring(3));
            assertEquals(ResponseCode.FORBIDDEN, FirmwareDevice.get(other.session(), uri, 0, 6).getCode());
            tail.await("REFUSED by PSK", each -> each.type().equals("REFUSED")
                    && each.data().path("identity").asText().equals("id-other-key"));
            String inPlain = uri.replace("coaps:", "coap:").replace(":" + server.coapsPort(),
                    ":" + server.application().coapPort());
            assertEquals(ResponseCode.FORBIDDEN, FirmwareDevice.get(plain.session(), inPlain, 0, 6).getCode());
            tail.await("REFUSED over plain CoAP", each -> each.type().equals("REFUSED")
                    && each.data().get("reason").asText().contains("plain CoAP"));
            assertTrue(tail.events.stream().noneMatch(each -> each.type().equals("REFUSED")
                    && each.data().toString().contains(uri.substring(uri.lastIndexOf('/') + 1))), "a token in an event");

            // over plain CoAP the address of the registration is all there is
            String open = uri("other-plain");
            assertEquals(ResponseCode.CONTENT, FirmwareDevice.get(plain.session(), open, 0, 6).getCode());
            server.call("DELETE", "/api/security/clients/owner", null);
            assertEquals(ResponseCode.FORBIDDEN, FirmwareDevice.get(stranger.session(), uri, 0, 6).getCode());
        }
    }

    @Test
    void fetchingIsASignOfLife() throws Exception {
        try (FirmwareDevice device = registered("fetcher", "Q"); EventTail tail = new EventTail(server, "", null)) {
            server.call("PUT", "/api/clients/fetcher/awake", "{\"seconds\":1}");
            String uri = uri("fetcher");
            tail.await("SLEEPING", "fetcher");
            CoapEndpoint session = device.session();
            assertEquals(ResponseCode.CONTENT, FirmwareDevice.get(session, uri, 0, 6).getCode());
            tail.await("AWAKE", "fetcher");
        }
    }

    // push

    @Test
    void aPackageIsPushedByteForByte() throws Exception {
        try (FirmwareDevice device = registered("pushed"); EventTail tail = new EventTail(server, "", null)) {
            HttpResponse<String> answer = server.call("PUT", push("pushed", hash, "&timeout=60"), null);
            assertEquals(200, answer.statusCode(), answer.body());
            assertEquals("{\"status\":\"CHANGED(204)\",\"valid\":true,\"success\":true,\"failure\":false}", answer.body());
            assertArrayEquals(image, device.content());
            assertEquals(1024, device.blocks.size());
            assertEquals(new Block(0, 1024, true, 1024, image.length, 42), device.blocks.get(0));
            assertEquals(new Block(1023, 1024, false, 1024, null, 42), device.blocks.get(1023));
            lastProgress(tail, "pushed", image.length);
            List<JsonNode> all = progress(tail, "pushed");
            assertEquals(1024, all.get(0).get("sent").intValue());
            assertEquals("/5/0/0", all.get(0).get("path").asText());
            assertFalse(all.get(0).has("requestId"));
            atMostTwoASecond(all);
        }
    }

    @Test
    void aPushIsAnsweredLater() throws Exception {
        byte[] octets = image(10_000, 7);
        String sha256 = stored(octets);
        try (FirmwareDevice device = plain("later"); EventTail tail = new EventTail(server, "", null)) {
            HttpResponse<String> accepted = server.later("push-later", "PUT", push("later", sha256, ""), null);
            assertEquals(202, accepted.statusCode(), accepted.body());
            JsonNode end = event(tail, "push-later");
            assertEquals("answered", end.get("outcome").asText());
            assertEquals("CHANGED(204)", end.at("/response/status").asText());
            assertEquals("/5/0/0", end.get("path").asText());
            assertTrue(end.get("sent").booleanValue());
            assertArrayEquals(octets, device.content());
            assertEquals("push-later", lastProgress(tail, "later", octets.length).get("requestId").asText());
            assertEquals(200, server.later("push-later", "PUT", push("later", sha256, ""), null).statusCode());
            assertEquals(10, device.blocks.size());
        }
    }

    @Test
    void aSmallPackageNeedsNoBlocks() throws Exception {
        byte[] octets = image(700, 8);
        String sha256 = stored(octets);
        try (FirmwareDevice device = plain("small")) {
            assertEquals(200, server.call("PUT", push("small", sha256, ""), null).statusCode());
            assertArrayEquals(octets, device.content());
            assertEquals(List.of(new Block(0, 0, false, 700, null, 42)), device.blocks);
        }
    }

    @Test
    void aDeviceMayWantSmallerBlocks() throws Exception {
        byte[] octets = image(5000, 9);
        String sha256 = stored(octets);
        try (FirmwareDevice device = plain("smaller")) {
            device.szx = 3;
            assertEquals(200, server.call("PUT", push("smaller", sha256, ""), null).statusCode());
            assertArrayEquals(octets, device.content());
            assertEquals(new Block(0, 1024, true, 1024, 5000, 42), device.blocks.get(0));
            assertEquals(new Block(8, 128, true, 128, null, 42), device.blocks.get(1));

            // one that could not take the first one asks for it again (RFC 7959, 2.9.3)
            device.blocks.clear();
            device.answer = (block, usual) -> {
                if (block.size() <= 128) {
                    return usual;
                }
                Response tooLarge = new Response(ResponseCode.REQUEST_ENTITY_TOO_LARGE);
                tooLarge.getOptions().setBlock1(3, true, 0);
                return tooLarge;
            };
            assertEquals(200, server.call("PUT", push("smaller", sha256, ""), null).statusCode());
            assertArrayEquals(octets, device.content());
            assertEquals(new Block(0, 128, true, 128, 5000, 42), device.blocks.get(1));

            // one that acts on each block says so (RFC 7959, 2.3)
            device.answer = (block, usual) -> {
                Response changed = new Response(ResponseCode.CHANGED);
                changed.getOptions().setBlock1(3, false, block.number());
                return changed;
            };
            assertEquals(200, server.call("PUT", push("smaller", sha256, ""), null).statusCode());
            assertArrayEquals(octets, device.content());
        }
    }

    @Test
    void whatADeviceAnswersInTheMiddleIsItsAnswer() throws Exception {
        byte[] octets = image(5000, 10);
        String sha256 = stored(octets);
        record Answer(ResponseCode code, String status) {
        }
        try (FirmwareDevice device = plain("refusing")) {
            for (Answer each : List.of(new Answer(ResponseCode.REQUEST_ENTITY_TOO_LARGE, "REQUEST_ENTITY_TOO_LARGE(413)"),
                    new Answer(ResponseCode.REQUEST_ENTITY_INCOMPLETE, "REQUEST_ENTITY_INCOMPLETE(408)"),
                    new Answer(ResponseCode.BAD_REQUEST, "BAD_REQUEST(400)"),
                    new Answer(ResponseCode.INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR(500)"))) {
                device.blocks.clear();
                device.answer = (block, usual) -> block.number() == 2 ? new Response(each.code) : usual;
                JsonNode answer = server.json("PUT", push("refusing", sha256, ""), null);
                assertEquals(each.status, answer.get("status").asText());
                assertTrue(answer.get("failure").booleanValue());
                assertEquals(3, device.blocks.size());
            }
            device.answer = (block, usual) -> block.number() == 2 ? new Response(ResponseCode.CHANGED) : usual;
            refused(500, "Invalid Response: the device answered 2.04 when it had 3072 of 5000 bytes",
                    server.call("PUT", push("refusing", sha256, ""), null));
            device.answer = (block, usual) -> block.more() ? usual : new Response(ResponseCode.CONTINUE);
            refused(500, "Invalid Response: ", server.call("PUT", push("refusing", sha256, ""), null));
        }
    }

    @Test
    void aLostBlockIsRepeated() throws Exception {
        byte[] octets = image(4000, 11);
        String sha256 = stored(octets);
        try (FirmwareDevice device = registered("lossy", "Q")) {
            device.answer = (block, usual) -> {
                if (block.number() == 1) {
                    device.deafTo.set(1);
                }
                return usual;
            };
            assertEquals(200, server.call("PUT", push("lossy", sha256, "&timeout=20"), null).statusCode());
            assertArrayEquals(octets, device.content());
            assertEquals(4, device.blocks.size());
        }
    }

    @Test
    void aPushThatIsCancelledBeforeItBeginsHoldsUpNoOther() throws Exception {
        try (FirmwareDevice device = registered("never-begun")) {
            LwM2mService lwm2m = server.application().lwm2m();
            PackageStore.Stored stored = new PackageStore.Stored(hash, image.length);
            PackagePush push = lwm2m.push(lwm2m.registration("never-begun"),
                    new PackagePush.Plan(new LwM2mPath("/5/0/0"), true, stored, null), 10_000);
            push.cancel();
            List<Exception> told = new ArrayList<>();
            push.start(answer -> told.add(new IllegalStateException(answer.toString())), told::add);
            assertEquals(1, told.size());
            assertTrue(told.get(0) instanceof RequestCanceledException, told.toString());
            assertEquals(List.of(), device.blocks);
            assertTrue(server.json("PUT", push("never-begun", hash, "&timeout=60"), null).get("success").booleanValue());
        }
    }

    @Test
    void aPushEndsWithItsTimeout() throws Exception {
        byte[] octets = image(4000, 12);
        String sha256 = stored(octets);
        try (FirmwareDevice device = plain("silent"); EventTail tail = new EventTail(server, "", null)) {
            device.answer = (block, usual) -> block.number() == 1 ? null : usual;
            refused(504, "Request timeout", server.call("PUT", push("silent", sha256, "&timeout=1"), null));
            server.later("push-silent", "PUT", push("silent", sha256, "&timeout=1"), null);
            assertEquals("timeout", event(tail, "push-silent").get("outcome").asText());
            assertEquals(1024, progress(tail, "silent").get(progress(tail, "silent").size() - 1).get("sent").intValue());
        }
    }

    @Test
    void aPushThatTheDeviceResetsIsRejected() throws Exception {
        try (FirmwareDevice device = plain("resetting"); EventTail tail = new EventTail(server, "", null)) {
            device.answer = (block, usual) -> {
                if (block.number() == 1) {
                    usual.setType(Type.RST);
                }
                return usual;
            };
            server.later("push-reset", "PUT", push("resetting", hash, "&timeout=60"), null);
            JsonNode end = event(tail, "push-reset");
            assertEquals("failed", end.get("outcome").asText());
            assertTrue(end.get("error").asText().startsWith("Request rejected: "), end.toString());
        }
    }

    @Test
    void aPushIsCalledOffBeforeTheNextBlock() throws Exception {
        try (FirmwareDevice device = plain("called-off"); EventTail tail = new EventTail(server, "", null)) {
            device.answer = (block, usual) -> block.number() == 5 ? null : usual;
            server.later("push-off", "PUT", push("called-off", hash, "&timeout=600"), null);
            eventually("it is under way", () -> device.blocks.size() == 6);
            // another to the same place would mix up the two
            server.later("push-second", "PUT", push("called-off", hash, "&timeout=600"), null);
            JsonNode second = event(tail, "push-second");
            assertEquals("failed", second.get("outcome").asText());
            assertEquals("Request rejected: another package is being written to /5/0/0", second.get("error").asText());
            assertFalse(second.get("sent").booleanValue());
            assertEquals(202, server.call("DELETE", "/api/requests/push-off", null).statusCode());
            JsonNode end = event(tail, "push-off");
            assertEquals("cancelled", end.get("outcome").asText());
            assertTrue(end.get("sent").booleanValue());
            lastProgress(tail, "called-off", 5 * 1024);
            assertEquals(6, device.blocks.size());
            device.answer = (block, usual) -> usual;
            assertEquals(200, server.call("PUT", push("called-off", hash, "&timeout=60"), null).statusCode());
            assertArrayEquals(image, device.content());
        }
    }

    @Test
    void aPushEndsWithTheRegistration() throws Exception {
        try (FirmwareDevice device = registered("rebooting"); EventTail tail = new EventTail(server, "", null)) {
            device.answer = (block, usual) -> block.number() == 5 ? null : usual;
            server.later("push-again", "PUT", push("rebooting", hash, "&timeout=3600"), null);
            eventually("it is under way", () -> device.blocks.size() == 6);
            assertEquals(ResponseCode.CREATED, device.register());
            JsonNode end = event(tail, "push-again");
            assertEquals("failed", end.get("outcome").asText());
            assertTrue(end.get("error").asText().contains("the device's registration ended"), end.toString());
            device.blocks.clear();
            server.later("push-revoked", "PUT", push("rebooting", hash, "&timeout=3600"), null);
            eventually("it is under way", () -> device.blocks.size() == 6);
            server.call("DELETE", "/api/security/clients/rebooting", null);
            assertEquals("failed", event(tail, "push-revoked").get("outcome").asText());
        }
    }

    @Test
    void aPackageThatIsRemovedEndsItsPush() throws Exception {
        String sha256 = stored(image(4000, 13));
        try (FirmwareDevice device = plain("removed")) {
            device.answer = (block, usual) -> {
                if (block.number() == 1) {
                    try {
                        server.call("DELETE", "/api/packages/" + sha256, null);
                    } catch (Exception e) {
                        throw new AssertionError(e);
                    }
                }
                return usual;
            };
            refused(500, "the package was removed", server.call("PUT", push("removed", sha256, "&timeout=20"), null));
        }
    }

    @Test
    void whatCannotBePushedIsSaidAtOnce() throws Exception {
        try (FirmwareDevice device = registered("asked", "Q"); EventTail tail = new EventTail(server, "", null)) {
            refused(400, "there is no package " + UNKNOWN, server.call("PUT", push("asked", UNKNOWN, ""), null));
            refused(400, "64 hexadecimal digits", server.call("PUT", push("asked", "abc", ""), null));
            refused(400, "must be empty", server.call("PUT", push("asked", hash, ""), "x"));
            refused(400, "resource only", server.call("PUT", "/api/clients/asked/5/0?package=" + hash, null));
            refused(400, "No registered client", server.call("PUT", push("nobody", hash, ""), null));
            HttpResponse<String> response = server.later("push-unknown", "PUT", push("asked", UNKNOWN, ""), null);
            refused(400, "there is no package", response);
            assertEquals(404, server.get("/api/requests/push-unknown").statusCode());
            server.call("PUT", "/api/clients/asked/awake", "{\"seconds\":1}");
            tail.await("SLEEPING", "asked");
            refused(409, "SLEEPING", server.later("push-sleeping", "PUT", push("asked", hash, ""), null));
            refused(504, "sleeping", server.call("PUT", push("asked", hash, ""), null));
            assertTrue(device.blocks.isEmpty());
        }
    }

    @Test
    void anInterruptedPushIsToldAsUnknown() throws Exception {
        try (TestServer other = new TestServer(Files.createDirectory(folder.resolve("interrupted")), true)) {
            HttpRequest upload = other.request("/api/packages/" + hash).PUT(HttpRequest.BodyPublishers.ofByteArray(image))
                    .build();
            assertEquals(201, other.http.send(upload, HttpResponse.BodyHandlers.ofString()).statusCode());
            try (FirmwareDevice device = new FirmwareDevice(other, "interrupted", Identity.plain())) {
                device.register();
                device.answer = (block, usual) -> block.number() == 5 ? null : usual;
                other.later("push-cut", "PUT", push("interrupted", hash, "&timeout=3600"), null);
                eventually("it is under way", () -> device.blocks.size() == 6);
                other.stop();
            }
            other.start();
            JsonNode end = Json.MAPPER.readTree(other.get("/api/requests/push-cut").body());
            assertEquals("ended", end.get("state").asText());
            assertEquals("unknown", end.get("outcome").asText());
            assertEquals(image.length, other.json("GET", "/api/packages/" + hash, null).get("size").intValue());
        }
    }
}
