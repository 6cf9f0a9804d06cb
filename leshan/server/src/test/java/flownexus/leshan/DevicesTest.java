package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

import org.eclipse.leshan.core.request.ContentFormat;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

/** Devices made with Leshan's client against a whole server: requests, events, names. */
class DevicesTest {

    @TempDir
    static Path folder;

    private static TestServer server;

    @BeforeAll
    static void start() throws Exception {
        server = new TestServer(folder, false);
    }

    @AfterAll
    static void end() {
        server.close();
    }

    private static TestDevice device(String endpoint) throws Exception {
        server.provisionX509(endpoint);
        TestDevice device = TestDevice.x509(endpoint, server, server.pki.device(endpoint));
        eventually(endpoint + " is registered", () -> server.registered(endpoint));
        return device;
    }

    @Test
    void tellsOfARegistrationFromItsBeginningToItsEnd() throws Exception {
        try (EventTail tail = new EventTail(server, "", null)) {
            TestDevice device = device("life");
            EventTail.Event registered = tail.await("REGISTRATION", "life");
            assertTrue(registered.id().matches("[0-9a-f]{16}-[0-9]+"), registered.id());
            assertTrue(registered.data().get("secure").booleanValue());
            assertFalse(registered.data().get("queuemode").booleanValue());
            assertEquals("1.1", registered.data().get("lwM2mVersion").asText());
            assertEquals(300, registered.data().get("lifetime").intValue());
            assertEquals("[0,1]", registered.data().get("availableInstances").get("3303").toString());
            assertTrue(registered.data().get("time").longValue() >= registered.data().get("registrationDate").longValue());
            ObjectNode registration = registered.data().deepCopy();
            registration.remove("time");
            assertEquals(registration, server.json("GET", "/api/clients/life", null));

            device.update();
            JsonNode update = tail.await("UPDATED", "life").data();
            assertEquals(registered.data().get("registrationId"), update.get("update").get("registrationId"));

            device.close();
            assertEquals("deregistered", tail.await("DEREGISTRATION", "life").data().get("reason").asText());
            assertFalse(server.registered("life"));
        }
    }

    @Test
    void saysThatANewRegistrationReplacedTheOldOne() throws Exception {
        try (EventTail tail = new EventTail(server, "?ep=twice", null)) {
            TestDevice first = device("twice");
            tail.await("REGISTRATION", "twice");
            first.vanish();
            try (TestDevice second = device("twice")) {
                assertEquals("replaced", tail.await("DEREGISTRATION", "twice").data().get("reason").asText());
                eventually("both registrations are told", () -> tail.events.stream()
                        .filter(event -> event.is("REGISTRATION", "twice")).count() == 2);
                eventually("it knows that it is registered",
                        () -> second.client.getRegisteredServers().size() == 1);
            }
        }
    }

    @Test
    void readsWritesExecutesCreatesAndDeletes() throws Exception {
        try (TestDevice device = device("requests")) {
            String client = "/api/clients/requests";
            JsonNode value = server.json("GET", client + "/3303/0/5700", null);
            assertEquals("{\"status\":\"CONTENT(205)\",\"valid\":true,\"success\":true,\"failure\":false,\"content\":"
                    + "{\"kind\":\"singleResource\",\"id\":5700,\"type\":\"FLOAT\",\"value\":\"21.5\"}}", value.toString());
            assertEquals("obj", server.json("GET", client + "/3303", null).at("/content/kind").asText());
            assertEquals("instance", server.json("GET", client + "/3/0", null).at("/content/kind").asText());
            assertEquals("5000", server.json("GET", client + "/3/0/7?format=TLV", null).at("/content/values/1").asText());
            assertEquals("5000", server.json("GET", client + "/3/0/7/1?format=SENML_CBOR", null).at("/content/value")
                    .asText());
            assertEquals("NOT_FOUND(404)", server.json("GET", client + "/3/0/1", null).get("status").asText());
            assertFalse(server.json("GET", client + "/3/0/1", null).get("success").booleanValue());

            assertTrue(server.json("PUT", client + "/3/0/14", "{\"kind\":\"singleResource\",\"id\":14,"
                    + "\"type\":\"string\",\"value\":\"+02\"}").get("success").booleanValue());
            assertEquals("+02", device.device.values.get(14));
            assertTrue(server.json("PUT", client + "/3/0/14", "{\"value\":\"é\"}").get("success")
                    .booleanValue(), "id and type are told by the path and the model");
            assertEquals("é", device.device.values.get(14));
            assertTrue(server.json("PUT", client + "/3/0?replace=false", "{\"kind\":\"instance\",\"id\":0,\"resources\":"
                    + "[{\"id\":14,\"value\":\"+03\"}]}").get("success").booleanValue());
            assertEquals("+03", device.device.values.get(14));

            assertTrue(server.json("POST", client + "/3303/0/5605", "0='x'").get("success").booleanValue());
            assertEquals(1, device.thermometer.executed.get());
            assertTrue(device.thermometer.arguments.contains("x"), device.thermometer.arguments);

            JsonNode created = server.json("POST", client + "/3303", "{\"kind\":\"instance\",\"resources\":[]}");
            assertEquals("3303/2", created.get("location").asText());
            assertTrue(server.json("DELETE", client + "/3303/2", null).get("success").booleanValue());

            assertTrue(server.json("PUT", client + "/3303/0/5700/attributes?pmin=1&pmax=5", null).get("success")
                    .booleanValue());
            String links = server.json("GET", client + "/3303/0/discover", null).get("objectLinks").toString();
            assertTrue(links.contains("{\"url\":\"/3303/0/5700\",\"attributes\":{\"pmin\":\"1\",\"pmax\":\"5\"}}"), links);
            JsonNode models = server.json("GET", "/api/objectspecs/requests", null);
            assertTrue(models.toString().contains("\"name\":\"Temperature\""));
        }
    }

    @Test
    void readsAndWritesSeveralPathsAtOnce() throws Exception {
        try (TestDevice device = device("composite")) {
            String composite = "/api/clients/composite/composite";
            JsonNode read = server.json("GET", composite + "?paths=/3/0/9,/3303/0/5700&pathformat=SENML_CBOR"
                    + "&nodeformat=SENML_CBOR", null);
            assertEquals("80", read.at("/content/~13~10~19/value").asText());
            assertEquals("21.5", read.at("/content/~13303~10~15700/value").asText());

            JsonNode written = server.json("PUT", composite + "?nodeformat=SENML_CBOR",
                    "{\"/3/0/14\":{\"kind\":\"singleResource\",\"id\":14,\"type\":\"STRING\",\"value\":\"+04\"},"
                            + "\"/3/0/7\":{\"kind\":\"multiResource\",\"id\":7,\"type\":\"INTEGER\","
                            + "\"values\":{\"0\":\"1\"}}}");
            assertFalse(written.get("status").asText().startsWith("BAD_REQUEST"), written.toString());

            try (EventTail tail = new EventTail(server, "?ep=composite", null)) {
                JsonNode observed = server.json("POST", composite + "/observe?paths=/3/0/9,/3303/0/5700", null);
                assertTrue(observed.get("success").booleanValue());
                device.thermometer.set(5700, 30.0);
                JsonNode event = tail.await("NOTIFICATION", "composite").data();
                assertEquals("composite", event.get("kind").asText());
                assertEquals("[\"/3/0/9\",\"/3303/0/5700\"]", event.get("paths").toString());
                assertEquals("30.0", event.at("/val/~13303~10~15700/value").asText());
                assertTrue(server.json("DELETE", composite + "/observe?active&paths=/3/0/9,/3303/0/5700", null)
                        .get("success").booleanValue());
            }
        }
    }

    @Test
    void observesUntilItIsCancelled() throws Exception {
        try (TestDevice device = device("observed"); EventTail tail = new EventTail(server, "?ep=observed", null)) {
            String observe = "/api/clients/observed/3303/0/5700/observe";
            assertEquals("21.5", server.json("POST", observe, null).at("/content/value").asText());
            device.thermometer.set(5700, 22.25);
            JsonNode event = tail.await("NOTIFICATION", "observed").data();
            assertEquals("single", event.get("kind").asText());
            assertEquals("/3303/0/5700", event.get("res").asText());
            assertEquals("22.25", event.at("/val/value").asText());
            assertTrue(event.get("observe").isNumber());
            assertTrue(Math.abs(event.get("time").longValue() - System.currentTimeMillis()) < 20_000);
            assertEquals(1, event.get("samples").size());
            assertTrue(event.at("/samples/0/time").isNull());
            assertEquals("22.25", event.at("/samples/0/nodes/~13303~10~15700/value").asText());

            assertTrue(server.json("DELETE", observe + "?active", null).get("success").booleanValue());
            assertEquals(404, server.call("DELETE", observe + "?active", null).statusCode());
            assertEquals(200, server.call("DELETE", observe, null).statusCode());
            device.thermometer.set(5700, 23.0);
            device.update();
            tail.await("UPDATED", "observed");
            assertFalse(tail.events.stream().anyMatch(each -> each.data().at("/val/value").asText().equals("23.0")));
        }
    }

    @Test
    void journalsASend() throws Exception {
        try (TestDevice device = device("sending"); EventTail tail = new EventTail(server, "", null)) {
            assertTrue(device.client.getSendService().sendData(device.server(), ContentFormat.SENML_CBOR,
                    List.of("/3303/0/5700", "/3/0/7/1"), 5000).isSuccess());
            JsonNode event = tail.await("SEND", "sending").data();
            assertEquals("21.5", event.at("/val/~13303~10~15700/value").asText());
            assertEquals("5000", event.at("/val/~13~10~17~11/value").asText());
            assertEquals(1, event.get("samples").size());
        }
    }

    @Test
    void resumesWhereAReaderWasOverARestart() throws Exception {
        String last;
        try (TestDevice device = device("resumed"); EventTail tail = new EventTail(server, "", null)) {
            device.update();
            last = tail.await("UPDATED", "resumed").id();
        }
        eventually("it is gone", () -> !server.registered("resumed"));
        server.stop();
        server.start();
        try (EventTail tail = new EventTail(server, "", last)) {
            assertEquals("deregistered", tail.await("DEREGISTRATION", "resumed").data().get("reason").asText());
            assertTrue(tail.events.stream().noneMatch(event -> event.is("REGISTRATION", "resumed")));
            long sequence = Long.parseLong(last.substring(17));
            assertEquals(last.substring(0, 17) + (sequence + 1), tail.events.get(0).id());
        }
        String ahead = last.substring(0, 17) + "999999";
        try (EventTail tail = new EventTail(server, "?lastEventId=" + ahead, null)) {
            EventTail.Event gap = tail.await("a gap", event -> event.type().equals("GAP"));
            assertEquals("ahead", gap.data().get("reason").asText());
            assertEquals(999999, gap.data().get("to").longValue());
        }
    }

    @Test
    void worksWithAnyEndpointName() throws Exception {
        for (String endpoint : List.of("a \"quoted\" name", "urn:x/y/../z", "50% = a+b; #1?&", "Gerät-日本", "back\\slash",
                " led by a space")) {
            try (EventTail tail = new EventTail(server, "?ep=" + TestServer.encoded(endpoint), null);
                    TestDevice device = device(endpoint)) {
                String client = "/api/clients/" + TestServer.encoded(endpoint);
                assertEquals(endpoint, tail.await("REGISTRATION", endpoint).data().get("endpoint").asText());
                assertEquals("21.5", server.json("GET", client + "/3303/0/5700", null).at("/content/value").asText());
                assertTrue(server.json("POST", client + "/3303/0/5700/observe", null).get("success").booleanValue());
                device.thermometer.set(5700, 1.0);
                assertEquals("1.0", tail.await("NOTIFICATION", endpoint).data().at("/val/value").asText());
            }
            HttpResponse<String> removed = server.call("DELETE", "/api/security/clients/" + TestServer.encoded(endpoint),
                    null);
            assertEquals("200 ", removed.statusCode() + " " + removed.body());
        }
    }

    @Test
    void answersAsTheStockServerDoes() throws Exception {
        try (TestDevice device = device("errors")) {
            assertEquals("400 No registered client with id 'nobody'", answer("GET", "/api/clients/nobody/3/0", null));
            assertTrue(answer("GET", "/api/clients/errors/x/y", null).startsWith("400 Invalid path: "));
            assertTrue(answer("GET", "/api/clients/errors/3//0", null).startsWith("400 Invalid path"));
            assertTrue(answer("PUT", "/api/clients/errors/3", "{}").startsWith("400 Invalid path"));
            assertTrue(answer("PUT", "/api/clients/errors/3/0/14", "rubbish").startsWith("400 Invalid request: "));
            assertTrue(answer("PUT", "/api/clients/errors/3/0/9", "{\"value\":\"many\"}")
                    .startsWith("400 Invalid request: "));
            assertTrue(answer("PUT", "/api/clients/errors/3303/0/5700/attributes?pmin=often", null)
                    .startsWith("400 Invalid attributes: "));
            assertTrue(answer("GET", "/api/clients/errors/3?format=XML", null).startsWith("400 Invalid request: "));
            assertTrue(answer("GET", "/api/event", null).startsWith("405 "));
            device.vanish();
            assertEquals("504 Request timeout", answer("GET", "/api/clients/errors/3/0/9?timeout=1", null));
        }
        assertEquals(401, server.http.send(server.request("/api/clients").setHeader("Authorization", "Bearer x").build(),
                HttpResponse.BodyHandlers.ofString()).statusCode());
        HttpResponse<String> health = server.http.send(server.request("/healthz").setHeader("Authorization", "x").build(),
                HttpResponse.BodyHandlers.ofString());
        assertEquals(200, health.statusCode());
        assertTrue(health.body().contains("\"status\":\"ok\""));
        assertNull(health.headers().firstValue("Server").orElse(null));
        JsonNode endpoints = server.json("GET", "/api/server/endpoint", null);
        assertEquals(server.coapsPort(), endpoints.findValues("port").get(1).intValue());
        assertTrue(server.json("GET", "/api/server/security", null).at("/certificate/b64Der").asText().length() > 100);
    }

    @Test
    void saysThatAConnectionEndsWhereABodyWasNotRead() throws Exception {
        String request = "PUT /api/clients/nobody/3 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + TestServer.TOKEN
                + "\r\nContent-Length: 2\r\n\r\n";
        // the body is here: it is dropped, and the next request is understood
        String both = talk(request + "{}GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assertTrue(both.startsWith("HTTP/1.1 400 "), both);
        assertTrue(both.contains("HTTP/1.1 200 "), both);
        // it is not
        String one = talk(request);
        assertTrue(one.startsWith("HTTP/1.1 400 "), one);
        assertTrue(one.toLowerCase(Locale.ROOT).contains("\r\nconnection: close\r\n"), one);
    }

    /** Everything that the server says to that, up to the end of the connection. */
    private static String talk(String bytes) throws Exception {
        try (Socket socket = new Socket("127.0.0.1", server.application().httpPort())) {
            socket.setSoTimeout(20_000);
            socket.getOutputStream().write(bytes.getBytes(StandardCharsets.US_ASCII));
            return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    private static String answer(String method, String path, String body) throws Exception {
        HttpResponse<String> response = server.call(method, path, body);
        return response.statusCode() + " " + response.body();
    }

    @Test
    void tracesTheMessagesOfADeviceForThoseWhoAsk() throws Exception {
        try (TestDevice device = device("traced"); EventTail tail = new EventTail(server, "?ep=traced", null);
                EventTail others = new EventTail(server, "", null)) {
            server.json("GET", "/api/clients/traced/3/0/9", null);
            EventTail.Event request = tail.await("the request", event -> event.type().equals("COAPLOG")
                    && !event.data().get("incoming").booleanValue());
            assertNull(request.id());
            assertEquals("GET", request.data().get("code").asText());
            tail.await("the answer", event -> event.type().equals("COAPLOG")
                    && event.data().get("incoming").booleanValue() && event.data().get("code").asText().equals("2.05"));
            device.update();
            others.await("UPDATED", "traced");
            assertTrue(others.events.stream().noneMatch(event -> event.type().equals("COAPLOG")));
        }
    }
}
