package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HexFormat;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;

/** What people use to look into things: the demo server's pages, the CoAP trace, and object models of their own. */
class DebugTest {

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

    private static String type(HttpResponse<String> response) {
        return response.headers().firstValue("Content-Type").orElse("");
    }

    private static String ddf(int id, String version, String type) {
        return """
                <?xml version="1.0" encoding="UTF-8"?>
                <LWM2M><Object ObjectType="MODefinition"><Name>Own</Name><ObjectID>%d</ObjectID>
                <ObjectVersion>%s</ObjectVersion><MultipleInstances>Multiple</MultipleInstances>
                <Mandatory>Optional</Mandatory><Resources><Item ID="5700"><Name>Own value</Name><Operations>RW</Operations>
                <MultipleInstances>Single</MultipleInstances><Mandatory>Mandatory</Mandatory><Type>%s</Type>
                <RangeEnumeration></RangeEnumeration><Units>K</Units><Description></Description></Item></Resources>
                </Object></LWM2M>
                """.formatted(id, version, type);
    }

    @Test
    void servesTheDemoServersPages() throws Exception {
        HttpResponse<String> index = server.get("/");
        assertEquals(200, index.statusCode());
        assertEquals("text/html; charset=utf-8", type(index));
        assertTrue(index.headers().firstValue("Content-Security-Policy").orElse("").contains("script-src 'self'"));
        Matcher assets = Pattern.compile("(?:href|src)=\"?([^\" >]+)").matcher(index.body());
        int count = 0;
        while (assets.find()) {
            assertFalse(assets.group(1).startsWith("/"), "relative, so that a proxy may put it anywhere");
            HttpResponse<String> asset = server.get("/" + assets.group(1));
            assertEquals(200, asset.statusCode(), assets.group(1));
            assertTrue(type(asset).matches("text/(css|javascript); charset=utf-8|image/png"), type(asset));
            if (assets.group(1).contains("js/app")) {
                assertTrue(asset.body().contains("\"api/server/endpoint?shape=ports\""));
                assertTrue(asset.body().contains("{txt:\"None\",val:604800}"));
                assertTrue(asset.body().contains("\"shownews\",{defaultValue:!1"));
            }
            count++;
        }
        assertTrue(count > 4);
        for (String path : new String[] { "/nothing", "/nothing.js", "/index.xml", "/js", "/js/..%2findex.html", "/logback.xml",
                "/%2e%2e/logback.xml", "/api", "/api/nothing" }) {
            int status = server.get(path).statusCode();
            assertTrue(status == 404 || status == 400, path + ": " + status);
        }
        assertEquals(405, server.call("POST", "/index.html", "").statusCode());
    }

    @Test
    void answersThoseOldPages() throws Exception {
        JsonNode ports = server.json("GET", "/api/server/endpoint?shape=ports", null);
        assertEquals(server.application().coapPort(), ports.get("unsecuredEndpointPort").intValue());
        assertEquals(server.coapsPort(), ports.get("securedEndpointPort").intValue());
        assertTrue(server.json("GET", "/api/server/endpoint", null).isArray());

        String publicKey = HexFormat.of().formatHex(TestPki.keys().getPublic().getEncoded());
        String pin = "ab".repeat(32);
        server.provision("{'endpoint':'old-pinned','tls':{'mode':'x509','certificates':['" + pin + "']}}");
        for (String body : new String[] { "{'endpoint':'old-psk','psk':{'identity':'old-i','key':'c0ffee00'}}",
                "{'endpoint':'old-x509','x509':true}", "{'endpoint':'old-pinned','x509':true}",
                "{'endpoint':'old-rpk','rpk':{'key':'" + publicKey + "'}}" }) {
            assertEquals(200, server.call("PUT", "/api/security/clients/", body.replace('\'', '"')).statusCode(), body);
        }
        JsonNode list = server.json("GET", "/api/security/clients", null);
        assertFalse(list.toString().contains("c0ffee00"), "no key leaves the server");
        for (JsonNode each : list) {
            switch (each.get("endpoint").asText()) {
            case "old-psk" -> assertEquals("old-i old-i psk", each.at("/psk/identity").asText() + " "
                    + each.at("/tls/details/identity").asText() + " " + each.at("/tls/mode").asText());
            case "old-x509" -> assertTrue(each.get("x509").booleanValue());
            case "old-pinned" -> assertEquals(pin, each.at("/tls/certificates/0").asText(), "still pinned");
            case "old-rpk" -> assertEquals(publicKey, each.at("/rpk/key").asText());
            default -> {
                // another test's
            }
            }
        }
        assertEquals(400, server.call("PUT", "/api/security/clients", "{\"endpoint\":\"old\",\"x509\":false}").statusCode());
        assertEquals(200, server.call("DELETE", "/api/security/clients/old-psk", null).statusCode());
    }

    @Test
    void tracesWhatIsSaidInWords() throws Exception {
        try (RawDevice device = new RawDevice(server, "traced"); EventTail tail = new EventTail(server, "?ep=traced", null);
                EventTail other = new EventTail(server, "", null)) {
            device.register();
            JsonNode registered = tail.await("the registration", each -> each.is("COAPLOG", "traced")
                    && each.data().path("uri").asText().startsWith("/rd?")).data();
            assertTrue(registered.get("incoming").booleanValue());
            assertTrue(registered.get("uri").asText().contains("ep=traced"));
            assertEquals("</3/0>,</3303/0>", registered.get("decoded").asText());

            server.json("GET", "/api/clients/traced/3303/0/5700", null);
            JsonNode read = tail.await("a read", each -> each.data().path("code").asText().equals("GET")).data();
            assertEquals("/3303/0/5700", read.get("uri").asText());
            assertFalse(read.has("payloadHex"));
            JsonNode answer = tail.await("its answer", each -> each.data().path("code").asText().equals("2.05")).data();
            assertEquals(read.get("token"), answer.get("token"));
            assertEquals("/3303/0/5700", answer.get("path").asText());
            assertEquals("TEXT", answer.get("format").asText());
            assertEquals("/3303/0/5700 Sensor Value = 21.5", answer.get("decoded").asText());
            assertEquals("21.5", answer.get("payload").asText());
            assertEquals("32312e35", answer.get("payloadHex").asText());

            device.post(MediaTypeRegistry.APPLICATION_SENML_JSON,
                    "[{\"bn\":\"/3303/0/\",\"bt\":1700000000,\"n\":\"5701\",\"vs\":\"Cel\"}]".getBytes(StandardCharsets.UTF_8));
            tail.await("a Send", each -> each.data().path("decoded").asText()
                    .equals("/3303/0/5701 Sensor Units = \"Cel\" (t=1700000000)"));
            device.post(MediaTypeRegistry.APPLICATION_SENML_CBOR, new byte[] { 1, 2 });
            tail.await("rubbish", each -> each.data().path("decoded").asText().startsWith("not decodable"));

            byte[] large = ("[{\"n\":\"/3303/0/5518\",\"vs\":\"" + "x".repeat(5000) + "\"}]").getBytes(StandardCharsets.UTF_8);
            device.post(MediaTypeRegistry.APPLICATION_SENML_JSON, large);
            JsonNode block = tail.await("a block", each -> each.data().path("decoded").asText().startsWith("block 2 of"))
                    .data();
            assertTrue(block.get("payloadCut").booleanValue());
            assertTrue(block.get("payloadHex").asText().length() < 100);
            assertTrue(block.get("payloadSize").intValue() >= 512);
            assertTrue(other.events.stream().noneMatch(each -> each.type().equals("COAPLOG")), "only who asks for it");
        }
    }

    @Test
    void usesAModelAtOnceAndForgetsIt() throws Exception {
        try (RawDevice device = new RawDevice(server, "modelled")) {
            device.register();
            assertEquals("FLOAT", typeOfValue());
            JsonNode stored = server.json("PUT", "/api/models/3303/1.0", ddf(3303, "1.0", "String"));
            assertEquals("Own", stored.get("name").asText());
            assertEquals("STRING", typeOfValue());
            assertTrue(server.get("/api/objectspecs/modelled").body().contains("\"Own value\""));
            JsonNode list = server.json("GET", "/api/models", null);
            assertEquals(1, list.size());
            assertEquals("3303 1.0 " + stored.get("sha256").asText(), list.at("/0/id").asText() + " "
                    + list.at("/0/version").asText() + " " + list.at("/0/sha256").asText());

            Path file = folder.resolve("data/models/3303-1.0.xml");
            assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file)));
            server.stop();
            server.start();
            device.register();
            assertEquals("STRING", typeOfValue());

            assertEquals(204, server.call("DELETE", "/api/models/3303/1.0", null).statusCode());
            assertEquals("FLOAT", typeOfValue());
            assertFalse(Files.exists(file));
            assertEquals(404, server.call("DELETE", "/api/models/3303/1.0", null).statusCode());
        }
    }

    private static String typeOfValue() throws Exception {
        eventually("it is registered", () -> server.registered("modelled"));
        return server.json("GET", "/api/clients/modelled/3303/0/5700", null).at("/content/type").asText();
    }

    @Test
    void refusesModelsWithASentence() throws Exception {
        String[][] wrong = { { "/api/models/30001/1.0", ddf(30002, "1.0", "Float"), "the file is for object 30002" },
                { "/api/models/30001/1.1", ddf(30001, "1.0", "Float"), "version 1.0, the address for 30001 version 1.1" },
                { "/api/models/30001/1.0", ddf(30001, "1.0", "Real"), "line 5: Type of resource 5700" },
                { "/api/models/30001/1.0", "<LWM2M>", "line 1: " }, { "/api/models/30001/one", "", "Invalid path" },
                { "/api/models/30001", "", "Invalid path" } };
        for (String[] each : wrong) {
            HttpResponse<String> response = server.call("PUT", each[0], each[1]);
            assertEquals(400, response.statusCode());
            assertTrue(response.body().contains(each[2]), response.body());
            assertEquals(1, response.body().strip().lines().count());
        }
        assertTrue(server.json("GET", "/api/models", null).findValuesAsText("id").stream().noneMatch("30001"::equals));
    }
}
