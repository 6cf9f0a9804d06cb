package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HexFormat;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import flownexus.leshan.json.Json;

/** What devices send on their own is understood or kept, and what was kept can be understood later. */
class UploadsTest {

    private static final int TLV = 11542;
    private static final String DDF = """
            <LWM2M><Object ObjectType="MODefinition"><Name>Pump</Name><Description1></Description1><ObjectID>33999</ObjectID>
            <ObjectURN></ObjectURN><LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>
            <MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>
            <Resources><Item ID="1"><Name>Level</Name><Operations>R</Operations>
            <MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory><Type>Integer</Type>
            <RangeEnumeration></RangeEnumeration><Units>m</Units><Description></Description></Item></Resources>
            <Description2></Description2></Object></LWM2M>
            """;

    @TempDir
    static Path folder;

    private static TestServer server;

    @BeforeAll
    static void start() throws Exception {
        server = new TestServer(folder, true);
    }

    @AfterAll
    static void end() {
        server.close();
    }

    private static byte[] utf8(String text) {
        return text.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    }

    /** Asks to decode what an UNDECODED event has kept: its fields as they are. */
    private static HttpResponse<String> decode(String endpoint, JsonNode undecoded) throws Exception {
        return server.call("POST", "/api/clients/" + endpoint + "/decode", undecoded.toString());
    }

    @Test
    void whatNoModelKnowsIsDecodedWhenThereIsOne() throws Exception {
        try (RawDevice device = new RawDevice(server, "pump"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.unknown.set(TLV, HexFormat.of().parseHex("c10107"));
            JsonNode read = server.json("GET", "/api/clients/pump/33999/0/1", null);
            assertEquals("/33999/0/1", read.at("/guessed/0").asText());
            assertEquals(202, server.http.send(server.request("/api/clients/pump/33999/0/1").header("Prefer", "respond-async")
                    .header("Request-Id", "read-pump").build(), HttpResponse.BodyHandlers.ofString()).statusCode());
            assertEquals("/33999/0/1", tail.await("REQUEST_RESPONSE", "pump").data().at("/response/guessed/0").asText());

            server.json("POST", "/api/clients/pump/33999/0/1/observe", null);
            device.unknown.set(TLV, HexFormat.of().parseHex("c10108"));
            JsonNode notification = tail.await("NOTIFICATION", "pump").data();
            assertEquals("OPAQUE 08", notification.at("/val/type").asText() + " " + notification.at("/val/value").asText());
            assertEquals("[\"/33999/0/1\"]", notification.get("guessed").toString());
            JsonNode undecoded = tail.await("UNDECODED", "pump").data();
            ObjectNode expected = Json.MAPPER.createObjectNode().put("ep", "pump").put("received", "notification")
                    .put("path", "/33999/0/1");
            expected.putArray("paths").add("/33999/0/1");
            expected.put("format", "TLV").put("contentFormat", TLV).put("rootPath", "/").putArray("objectLinks").addObject()
                    .put("url", "/3").putObject("attributes").put("ver", "1.1");
            expected.put("hex", "c10108").put("error",
                    "object 33999 has no model: its types are unknown; add its definition under Settings → Object models")
                    .set("time", notification.get("time"));
            assertEquals(expected.toString(), undecoded.toString());

            JsonNode before = Json.MAPPER.readTree(decode("pump", undecoded).body());
            assertEquals("[\"/33999/0/1\"]", before.get("guessed").toString());
            assertEquals(200, server.call("PUT", "/api/models/33999/1.0", DDF).statusCode());
            for (String endpoint : new String[] { "pump", "nobody" }) {
                JsonNode after = Json.MAPPER.readTree(decode(endpoint, undecoded).body());
                assertEquals("INTEGER 8", after.at("/samples/0/nodes/~133999~10~11/type").asText() + " "
                        + after.at("/samples/0/nodes/~133999~10~11/value").asText());
                assertFalse(after.has("guessed"));
                assertTrue(after.get("errors").isEmpty());
                assertEquals(endpoint, after.get("ep").asText());
            }
        } finally {
            server.call("DELETE", "/api/models/33999/1.0", null);
        }
    }

    @Test
    void aSendIsDecodedLaterAsItWouldHaveBeenThen() throws Exception {
        try (RawDevice device = new RawDevice(server, "later"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            device.post(MediaTypeRegistry.APPLICATION_SENML_JSON,
                    utf8("[{'bn':'/3303/7/','n':'5700','v':1,'t':5},{'n':'5700','v':2,'t':6},{'n':'5701','v':1}]"));
            JsonNode send = tail.await("SEND", "later").data();
            JsonNode undecoded = tail.await("UNDECODED", "later").data();
            assertEquals("send", undecoded.get("received").asText());
            assertTrue(undecoded.get("paths").isEmpty());
            assertFalse(undecoded.has("path"));
            assertEquals(110, undecoded.get("contentFormat").intValue());
            assertEquals(send.get("time"), undecoded.get("time"));
            JsonNode decoded = Json.MAPPER.readTree(decode("later", undecoded).body());
            assertEquals(send.get("samples"), decoded.get("samples"));
            assertEquals("none", decoded.get("clock").asText());
            assertEquals("/3303/7/5701: a number where STRING is expected", decoded.at("/errors/0").asText());
        }
    }

    @Test
    void whatCannotBeDecodedIsRefusedInOneLine() throws Exception {
        String[][] calls = {
                { "{\"contentFormat\":112,\"hex\":\"8\"}", "Invalid request: hex is not hexadecimal" },
                { "{\"contentFormat\":\"112\",\"hex\":\"80\"}", "Invalid request: {\"contentFormat\"" },
                { "{\"hex\":\"80\"}", "Invalid request: {\"contentFormat\"" },
                { "{", "Invalid request: the body is not JSON" },
                { "", "Invalid request: {\"contentFormat\"" },
                { "{\"contentFormat\":112,\"hex\":\"80\",\"paths\":[\"/x\"]}", "Invalid request: paths: '/x' is no path" },
                { "{\"contentFormat\":112,\"hex\":\"80\",\"time\":\"now\"}", "Invalid request: time is a number" },
                { "{\"contentFormat\":112,\"hex\":\"ff\"}", "Not decodable: not SenML: an array is expected" },
                { "{\"contentFormat\":9,\"hex\":\"ff\"}", "Not decodable: content format 9 is not supported" },
        };
        for (String[] call : calls) {
            HttpResponse<String> response = server.call("POST", "/api/clients/any/decode", call[0]);
            assertEquals(400, response.statusCode(), call[0]);
            assertTrue(response.body().startsWith(call[1]) && response.body().lines().count() == 1, response.body());
        }
        String large = "{\"contentFormat\":112,\"hex\":\"" + "00".repeat(3 << 20) + "\"}";
        assertEquals(413, server.call("POST", "/api/clients/any/decode", large).statusCode());
        // the version of the object says how many octets its resource is about
        assertEquals(200, server.call("POST", "/api/clients/any/decode", "{\"contentFormat\":11542,\"hex\":\"\","
                + "\"paths\":[\"/3303\"],\"objectLinks\":[{\"url\":\"/3303\",\"attributes\":{\"ver\":\"1.1\"}},{},7]}").statusCode());
    }

    @Test
    void logMessagesArriveAtTheirFullLength() throws Exception {
        byte[] log = new byte[900];
        for (int index = 0; index < log.length; index++) {
            log[index] = (byte) index;
        }
        ByteArrayOutputStream body = new ByteArrayOutputStream();
        body.writeBytes(HexFormat.of().parseHex("82a2006a2f32302f302f3430313408590384"));
        body.writeBytes(log);
        body.writeBytes(HexFormat.of().parseHex("a2006b2f32302f302f32363234310203"));
        try (RawDevice device = new RawDevice(server, "logs"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_CBOR, body.toByteArray()));
            JsonNode nodes = tail.await("SEND", "logs").data().at("/samples/0/nodes");
            assertEquals("OPAQUE", nodes.at("/~120~10~14014/type").asText());
            assertEquals(HexFormat.of().formatHex(log), nodes.at("/~120~10~14014/value").asText());
            assertEquals("INTEGER 3", nodes.at("/~120~10~126241/type").asText() + " " + nodes.at("/~120~10~126241/value").asText());
        }
    }

    @Test
    void aMebibyteComesBlockByBlockAndDelaysNobody() throws Exception {
        int sent = 44_000;
        int notified = 10_000;
        byte[] large = series(sent);
        assertTrue(large.length > 1_000_000 && large.length < 1 << 20, () -> large.length + " bytes");
        try (RawDevice device = new RawDevice(server, "large"); RawDevice other = new RawDevice(server, "small");
                EventTail tail = new EventTail(server, "", null)) {
            device.register();
            other.register();
            assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_JSON, large));
            eventually("all of the Send", () -> samples(tail, "SEND") == sent);
            assertTrue(tail.events.stream().filter(each -> each.is("SEND", "large"))
                    .allMatch(each -> each.data().get("samples").size() <= 20_000));

            assertEquals(200, server.call("POST", "/api/clients/large/3303/0/5700/observe", null).statusCode());
            device.value.set(MediaTypeRegistry.APPLICATION_SENML_JSON, series(notified));
            assertEquals(ResponseCode.CHANGED,
                    other.post(MediaTypeRegistry.APPLICATION_SENML_JSON, utf8("[{'n':'/3303/0/5700','v':1}]")));
            eventually("all of the notification", () -> samples(tail, "NOTIFICATION") == notified);
            JsonNode last = tail.events.stream().filter(each -> each.is("NOTIFICATION", "large")).reduce((a, b) -> b)
                    .orElseThrow().data();
            assertEquals(notified - 1 + ".5", last.at("/val/value").asText(), "the newest comes last");
            tail.await("SEND", "small");
            assertEquals(ResponseCode.REQUEST_ENTITY_TOO_LARGE,
                    device.post(MediaTypeRegistry.APPLICATION_SENML_JSON, new byte[2 << 20]), "the device keeps it then");
            assertTrue(tail.events.stream().noneMatch(each -> each.is("UNDECODED", "large")));
        }
    }

    private static byte[] series(int count) {
        StringBuilder series = new StringBuilder("[{'bn':'/3303/0/5700','bt':1700000000,'v':0.5}");
        for (int index = 1; index < count; index++) {
            series.append(",{'t':").append(index).append(",'v':").append(index).append(".5}");
        }
        return utf8(series.append(']').toString());
    }

    private static int samples(EventTail tail, String type) {
        return tail.events.stream().filter(each -> each.is(type, "large")).mapToInt(each -> each.data().get("samples").size())
                .sum();
    }

    @Test
    void everySendIsAnsweredAndToldOfOnce() throws Exception {
        String[] bodies = { "", "80", "[]", "ff", "00", "9f9f9f9f", "9f".repeat(60_000), "81a2006c2f333330332f302f353730300201",
                "818f", "c4821a05f5e10001", "bf".repeat(1000), "5b7fffffffffffffff", "9bffffffffffffffff", "d9d9f7", "f7" };
        try (RawDevice device = new RawDevice(server, "odd"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            int sent = 0;
            for (String body : bodies) {
                byte[] octets = body.startsWith("[") ? utf8(body) : HexFormat.of().parseHex(body);
                for (int format : new int[] { 110, 112, 0, 42, 60, TLV, 11543, 65000 }) {
                    assertEquals(ResponseCode.CHANGED, device.post(format, octets), format + " " + body);
                    sent++;
                }
            }
            int all = sent;
            eventually("one event a Send", () -> tail.events.stream()
                    .filter(each -> each.is("SEND", "odd") || each.is("UNDECODED", "odd")).count() == all);
            assertEquals(ResponseCode.CHANGED, device.update());
        }
    }
}
