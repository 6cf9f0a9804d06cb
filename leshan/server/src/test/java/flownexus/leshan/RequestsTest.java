package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Stream;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpoint;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.json.Json;

/** Requests that are answered later, against a whole server. */
class RequestsTest {

    @TempDir
    static Path folder;

    private static TestServer server;

    @BeforeAll
    static void start() throws Exception {
        server = new TestServer(Files.createDirectory(folder.resolve("lab")), true);
    }

    @AfterAll
    static void end() {
        server.close();
    }

    private static JsonNode accepted(HttpResponse<String> response) throws Exception {
        assertEquals(202, response.statusCode(), response.body());
        JsonNode record = Json.MAPPER.readTree(response.body());
        assertEquals("pending", record.get("state").asText());
        return record;
    }

    private static JsonNode ended(TestServer asked, String id) {
        JsonNode[] record = new JsonNode[1];
        eventually("request " + id + " has ended", () -> {
            record[0] = asked.json("GET", "/api/requests/" + id, null);
            return record[0].get("state").asText().equals("ended");
        });
        return record[0];
    }

    private static JsonNode event(EventTail tail, String id) {
        return tail.await("the end of " + id, each -> each.type().equals("REQUEST_RESPONSE")
                && each.data().get("requestId").asText().equals(id)).data();
    }

    private static long events(EventTail tail, String id) {
        return tail.events.stream().filter(each -> each.type().equals("REQUEST_RESPONSE")
                && each.data().get("requestId").asText().equals(id)).count();
    }

    @Test
    void everyOperationIsAnsweredLaterWithWhatItWouldHaveBeenAnsweredAtOnce() throws Exception {
        try (TestDevice device = TestDevice.plain("operations", server); EventTail tail = new EventTail(server, "", null)) {
            eventually("it is registered", () -> server.registered("operations"));
            String client = "/api/clients/operations";
            JsonNode record = accepted(server.later("op-read", "GET", client + "/3303/0/5700", null));
            assertEquals("/3303/0/5700", record.get("path").asText());
            assertEquals("operations", record.get("ep").asText());
            assertTrue(record.get("accepted").longValue() > 1_600_000_000_000L);

            JsonNode event = event(tail, "op-read");
            assertEquals(server.json("GET", client + "/3303/0/5700", null), event.get("response"));
            assertEquals("operations", event.get("ep").asText());
            assertEquals("/3303/0/5700", event.get("path").asText());
            assertEquals("answered", event.get("outcome").asText());
            assertTrue(event.get("sent").booleanValue());
            assertTrue(event.get("delayed").booleanValue());
            assertTrue(event.get("time").longValue() >= record.get("accepted").longValue());
            JsonNode end = ended(server, "op-read");
            for (String field : List.of("response", "outcome", "sent", "time", "duration", "ep", "path", "requestId")) {
                assertEquals(event.get(field), end.get(field), field);
            }
            assertEquals(record.get("accepted"), end.get("accepted"));

            record Operation(String id, String method, String path, String body, String status) {
            }
            List<Operation> operations = List.of(
                    new Operation("op-error", "GET", "/3/0/1", null, "NOT_FOUND(404)"),
                    new Operation("op-write", "PUT", "/3/0/14", "{\"value\":\"+05\"}", "CHANGED(204)"),
                    new Operation("op-discover", "GET", "/3/0/discover", null, "CONTENT(205)"),
                    new Operation("op-attributes", "PUT", "/3303/0/5700/attributes?pmin=1&timeout=7", null, "CHANGED(204)"),
                    new Operation("op-execute", "POST", "/3303/0/5605", "0='x'", "CHANGED(204)"),
                    new Operation("op-create", "POST", "/3303", "{\"id\":7,\"resources\":[]}", null),
                    new Operation("op-observe", "POST", "/3303/0/5700/observe", null, "CONTENT(205)"),
                    new Operation("op-composite", "GET", "/composite?paths=/3/0/9,/3303/0/5700", null, "CONTENT(205)"));
            for (Operation each : operations) {
                accepted(server.later(each.id, each.method, client + each.path, each.body));
                JsonNode answer = event(tail, each.id);
                assertEquals("answered", answer.get("outcome").asText(), answer.toString());
                if (each.status != null) {
                    assertEquals(each.status, answer.at("/response/status").asText(), answer.toString());
                }
            }
            assertFalse(event(tail, "op-error").at("/response/success").booleanValue());
            assertEquals("+05", device.device.values.get(14));
            assertEquals(1, device.thermometer.executed.get());
            assertEquals("21.5", event(tail, "op-observe").at("/response/content/value").asText());
            assertEquals("", event(tail, "op-composite").get("path").asText());
            assertEquals("[\"/3/0/9\",\"/3303/0/5700\"]", event(tail, "op-composite").get("paths").toString());
            device.thermometer.set(5700, 30.5);
            tail.await("NOTIFICATION", "operations");

            accepted(server.later("op-cancel", "DELETE", client + "/3303/0/5700/observe?active", null));
            assertEquals("answered", event(tail, "op-cancel").get("outcome").asText());
            HttpResponse<String> gone = server.later("op-gone", "DELETE", client + "/3303/0/5700/observe?active", null);
            assertEquals(404, gone.statusCode());
            assertEquals(404, server.get("/api/requests/op-gone").statusCode());
        }
    }

    @Test
    void theSameIdStartsNothingNew() throws Exception {
        TestDevice device = TestDevice.plain("once", server);
        try (EventTail tail = new EventTail(server, "", null)) {
            eventually("it is registered", () -> server.registered("once"));
            String path = "/api/clients/once/3303/0/5605";
            List<CompletableFuture<HttpResponse<String>>> calls = new ArrayList<>();
            for (int index = 0; index < 20; index++) {
                calls.add(server.http.sendAsync(server.laterRequest("twice", "POST", path, "0='x'"),
                        HttpResponse.BodyHandlers.ofString()));
            }
            for (CompletableFuture<HttpResponse<String>> each : calls) {
                assertTrue(List.of(200, 202).contains(each.get().statusCode()), each.get().body());
                assertEquals("twice", Json.MAPPER.readTree(each.get().body()).get("requestId").asText());
            }
            JsonNode record = ended(server, "twice");
            HttpResponse<String> again = server.later("twice", "POST", path, "0='x'");
            assertEquals(200, again.statusCode());
            assertEquals(record, Json.MAPPER.readTree(again.body()));
            device.close();
            eventually("it is gone", () -> !server.registered("once"));
            assertEquals(200, server.later("twice", "POST", path, "0='x'").statusCode(), "also of a device that has gone");
            assertEquals(1, device.thermometer.executed.get());
            assertEquals(1, events(tail, "twice"));
        }
    }

    @Test
    void whatIsWrongIsToldAtOnceAndNotKept() throws Exception {
        try (RawDevice device = new RawDevice(server, "wrong")) {
            device.register();
            String client = "/api/clients/wrong";
            HttpResponse<String> missing = server.http.send(server.request(client + "/3/0/9").header("Prefer", "respond-async")
                    .build(), HttpResponse.BodyHandlers.ofString());
            assertEquals(400, missing.statusCode());
            assertTrue(missing.body().contains("Request-Id"), missing.body());
            for (String id : List.of("a b", "x".repeat(65), "ä")) {
                assertEquals(400, server.later(id, "GET", client + "/3/0/9", null).statusCode(), id);
            }
            record Mistake(String method, String path, String body) {
            }
            for (Mistake each : List.of(new Mistake("GET", "/api/clients/nobody/3/0/9", null),
                    new Mistake("GET", client + "/x/0", null), new Mistake("PUT", client + "/3/0/14", "{"),
                    new Mistake("PUT", client + "/3/0/14", "{\"value\":7}"),
                    new Mistake("PUT", client + "/3/0/9/attributes?pmin=-1", null),
                    new Mistake("GET", client + "/3/0/9?timeout=soon", null))) {
                HttpResponse<String> answer = server.later("mistake", each.method, each.path, each.body);
                assertEquals(400, answer.statusCode(), each.path + ": " + answer.body());
            }
            assertEquals("404 No request with id 'mistake'", server.get("/api/requests/mistake").statusCode() + " "
                    + server.get("/api/requests/mistake").body());
            assertEquals(404, server.call("DELETE", "/api/requests/mistake", null).statusCode());
            assertEquals(405, server.call("PUT", "/api/requests/mistake", "").statusCode());
            assertTrue(device.messageIds.isEmpty());
        }
    }

    @Test
    void endsWhenNobodyAnswers() throws Exception {
        try (RawDevice device = new RawDevice(server, "mute"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.fallSilent();
            accepted(server.later("unheard", "GET", "/api/clients/mute/3303/0/5700?timeout=1", null));
            JsonNode event = event(tail, "unheard");
            assertEquals("timeout", event.get("outcome").asText());
            assertTrue(event.get("sent").booleanValue());
            assertTrue(event.get("duration").longValue() >= 1000);
            assertEquals(1, device.messageIds.size());
        }
    }

    @Test
    void saysWhyAnAnswerCannotBeUsed() throws Exception {
        try (RawDevice device = new RawDevice(server, "nonsense"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.value.set(MediaTypeRegistry.APPLICATION_SENML_CBOR, new byte[] { 1, 2, 3 });
            String path = "/api/clients/nonsense/3303/0/5700";
            accepted(server.later("garbage", "GET", path, null));
            JsonNode event = event(tail, "garbage");
            assertEquals("failed", event.get("outcome").asText());
            HttpResponse<String> direct = server.get(path);
            assertTrue(direct.body().startsWith("Invalid Response: "), direct.body());
            assertEquals(direct.body(), event.get("error").asText());
            assertTrue(event.get("sent").booleanValue());
        }
    }

    @Test
    void isCancelledInFlightOnce() throws Exception {
        try (RawDevice device = new RawDevice(server, "slow"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.fallSilent();
            accepted(server.later("called-off", "GET", "/api/clients/slow/3303/0/5700?timeout=600", null));
            eventually("it left", () -> device.messageIds.size() == 1);
            assertEquals(202, server.call("DELETE", "/api/requests/called-off", null).statusCode());
            JsonNode event = event(tail, "called-off");
            assertEquals("cancelled", event.get("outcome").asText());
            assertTrue(event.get("sent").booleanValue());
            ended(server, "called-off");
            HttpResponse<String> again = server.call("DELETE", "/api/requests/called-off", null);
            assertEquals(200, again.statusCode());
            assertEquals("cancelled", Json.MAPPER.readTree(again.body()).get("outcome").asText());
            assertEquals(1, events(tail, "called-off"));
        }
    }

    @Test
    void aNewRegistrationEndsWhatTheOldOneWasAsked() throws Exception {
        try (RawDevice device = new RawDevice(server, "reborn"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.fallSilent();
            accepted(server.later("orphan", "GET", "/api/clients/reborn/3303/0/5700?timeout=600", null));
            eventually("it left", () -> device.messageIds.size() == 1);
            device.register();
            JsonNode event = event(tail, "orphan");
            assertEquals("failed", event.get("outcome").asText());
            assertTrue(event.get("error").asText().startsWith("Request cancelled: "), event.toString());
            assertTrue(event.get("sent").booleanValue());
        }
    }

    @Test
    void aSleepingDeviceIsLeftInPeace() throws Exception {
        server.call("PUT", "/api/clients/dormouse/awake", "{\"seconds\":1}");
        try (RawDevice device = new RawDevice(server, "dormouse"); EventTail tail = new EventTail(server, "", null)) {
            device.register("Q");
            tail.await("SLEEPING", "dormouse");
            HttpResponse<String> refused = server.later("early", "GET", "/api/clients/dormouse/3303/0/5700", null);
            assertEquals(409, refused.statusCode());
            assertTrue(refused.body().startsWith("SLEEPING: "), refused.body());
            assertEquals(404, server.get("/api/requests/early").statusCode());
            assertTrue(device.messageIds.isEmpty());
            assertEquals(ResponseCode.CHANGED, device.update());
            tail.await("AWAKE", "dormouse");
            accepted(server.later("early", "GET", "/api/clients/dormouse/3303/0/5700", null));
            assertEquals("answered", event(tail, "early").get("outcome").asText());
        }
    }

    @Test
    void aDeviceWithQueueModeIsAskedAgainAtAConstantInterval() throws Exception {
        try (RawDevice device = new RawDevice(server, "blinking"); EventTail tail = new EventTail(server, "", null)) {
            device.register("Q");
            device.beDeafTo(2);
            accepted(server.later("repeated", "GET", "/api/clients/blinking/3303/0/5700?timeout=6", null));
            JsonNode event = event(tail, "repeated");
            assertEquals("answered", event.get("outcome").asText(), "doubling intervals would have missed it");
            assertEquals(3, device.messageIds.size());
            assertEquals(1, new HashSet<>(device.messageIds).size(), "one message, repeated");
            assertTrue(event.get("duration").longValue() < 5000, event.toString());
        }
    }

    @Test
    void hundredsWaitWithoutAThreadEach() throws Exception {
        try (RawDevice device = new RawDevice(server, "crowded"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.fallSilent();
            long threads = serverThreads();
            List<CompletableFuture<HttpResponse<String>>> calls = new ArrayList<>();
            for (int index = 0; index < 500; index++) {
                HttpRequest request = server.laterRequest("crowd-" + index, "GET",
                        "/api/clients/crowded/3303/0/" + index + "?timeout=600", null);
                calls.add(server.http.sendAsync(request, HttpResponse.BodyHandlers.ofString()));
            }
            for (CompletableFuture<HttpResponse<String>> each : calls) {
                accepted(each.get());
            }
            eventually("all left", () -> new HashSet<>(device.messageIds).size() >= 500);
            assertTrue(serverThreads() - threads < 100, serverThreads() + " threads, before " + threads);
            for (int index = 0; index < 500; index++) {
                assertEquals(202, server.call("DELETE", "/api/requests/crowd-" + index, null).statusCode());
            }
            eventually("all are cancelled", () -> tail.events.stream().filter(each -> each.type().equals("REQUEST_RESPONSE")
                    && each.data().get("outcome").asText().equals("cancelled")
                    && each.data().get("requestId").asText().startsWith("crowd-")).count() == 500);
        }
    }

    /** Without those of this test's own HTTP client. */
    private static long serverThreads() {
        return Thread.getAllStackTraces().keySet().stream().filter(each -> !each.getName().startsWith("HttpClient"))
                .count();
    }

    @Test
    void saysThatARequestNeverLeft() throws Exception {
        try (TestServer secure = new TestServer(Files.createDirectory(folder.resolve("secure")), false)) {
            secure.provisionX509("cut");
            try (EventTail tail = new EventTail(secure, "", null)) {
                TestDevice device = TestDevice.x509("cut", secure, secure.pki.device("cut"));
                eventually("it is registered", () -> secure.registered("cut"));
                device.vanish();
                secure.application().lwm2m().leshan().getEndpoints().stream()
                        .filter(each -> each.getProtocol() == Protocol.COAPS)
                        .map(each -> ((CaliforniumServerEndpoint) each).getCoapEndpoint().getConnector())
                        .forEach(each -> ((DTLSConnector) each).startTerminateConnectionsForPrincipal(principal -> true));
                eventually("the server has no connection to it", () -> secure.get("/api/clients/cut/3/0/9?timeout=1")
                        .statusCode() == 500);
                accepted(secure.later("nowhere", "GET", "/api/clients/cut/3/0/9", null));
                JsonNode event = event(tail, "nowhere");
                assertEquals("failed", event.get("outcome").asText());
                assertFalse(event.get("sent").booleanValue(), event.toString());
            }
        }
    }

    @Test
    void whatAKillLeavesUnansweredIsSaidToBeUnknown() throws Exception {
        Path copy = Files.createDirectory(folder.resolve("killed"));
        try (RawDevice device = new RawDevice(server, "survivor")) {
            device.register();
            accepted(server.later("finished", "GET", "/api/clients/survivor/3303/0/5700", null));
            JsonNode finished = ended(server, "finished");
            device.fallSilent();
            accepted(server.later("unfinished", "GET", "/api/clients/survivor/3303/0/5700?timeout=600", null));
            // as a kill leaves it: nothing of it is closed
            copy(server.folder.resolve("data/journal"), copy.resolve("data/journal"));
            copy(server.folder.resolve("data/requests"), copy.resolve("data/requests"));
            assertEquals(202, server.call("DELETE", "/api/requests/unfinished", null).statusCode());

            try (TestServer restarted = new TestServer(copy, true)) {
                assertEquals(finished, restarted.json("GET", "/api/requests/finished", null));
                JsonNode unknown = ended(restarted, "unfinished");
                assertEquals("unknown", unknown.get("outcome").asText());
                assertTrue(unknown.get("sent").booleanValue());
                String journal = restarted.json("GET", "/healthz", null).get("journal").asText();
                try (EventTail tail = new EventTail(restarted, "", journal + "-0")) {
                    JsonNode event = event(tail, "unfinished");
                    assertEquals("unknown", event.get("outcome").asText());
                    assertEquals(1, events(tail, "unfinished"));
                    assertEquals(1, events(tail, "finished"));
                }
                HttpResponse<String> again = restarted.later("unfinished", "GET", "/api/clients/survivor/3303/0/5700", null);
                assertEquals(200, again.statusCode());
                restarted.stop();
                restarted.start();
                assertEquals(unknown, restarted.json("GET", "/api/requests/unfinished", null), "told once");
            }
        }
    }

    @Test
    void aStopEndsWhatIsOpen() throws Exception {
        try (TestServer stopped = new TestServer(Files.createDirectory(folder.resolve("stopped")), true);
                RawDevice device = new RawDevice(stopped, "left-behind")) {
            device.register();
            device.fallSilent();
            accepted(stopped.later("open", "GET", "/api/clients/left-behind/3303/0/5700?timeout=600", null));
            eventually("it left", () -> device.messageIds.size() == 1);
            stopped.stop();
            stopped.start();
            JsonNode record = ended(stopped, "open");
            assertEquals("unknown", record.get("outcome").asText());
            assertTrue(record.get("sent").booleanValue());
            String journal = stopped.json("GET", "/healthz", null).get("journal").asText();
            try (EventTail tail = new EventTail(stopped, "", journal + "-0")) {
                event(tail, "open");
                assertEquals(1, events(tail, "open"));
            }
        }
    }

    private static void copy(Path from, Path to) throws IOException {
        Files.createDirectories(to);
        try (Stream<Path> files = Files.list(from)) {
            for (Path file : files.toList()) {
                Files.write(to.resolve(file.getFileName()), Files.readAllBytes(file));
            }
        }
    }
}
