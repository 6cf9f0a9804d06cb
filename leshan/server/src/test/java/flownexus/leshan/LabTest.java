package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.InputStream;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;

/** Devices that behave badly, over plain CoAP, in lab mode. */
class LabTest {

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

    @Test
    void admitsUnknownNamesAndNeedsNoToken() throws Exception {
        try (RawDevice device = new RawDevice(server, "unknown")) {
            assertEquals(ResponseCode.CREATED, device.register());
            HttpResponse<String> response = server.http.send(server.request("/api/clients/unknown")
                    .setHeader("Authorization", "none").build(), HttpResponse.BodyHandlers.ofString());
            assertEquals(200, response.statusCode());
            assertTrue(response.body().contains("\"secure\":false"));
            assertEquals("21.5", server.json("GET", "/api/clients/unknown/3303/0/5700", null).at("/content/value").asText());
        }
        server.provisionX509("has-a-certificate");
        try (RawDevice device = new RawDevice(server, "has-a-certificate")) {
            assertEquals(ResponseCode.FORBIDDEN, device.register(), "not even in lab mode");
        }
    }

    @Test
    void nobodyTouchesTheRegistrationOfAnother() throws Exception {
        try (RawDevice owner = new RawDevice(server, "owner"); RawDevice thief = new RawDevice(server, "thief");
                EventTail tail = new EventTail(server, "", null)) {
            owner.register();
            thief.register();
            assertTrue(thief.update(owner).codeClass != ResponseCode.CHANGED.codeClass);
            assertTrue(thief.deregister(owner).codeClass != ResponseCode.DELETED.codeClass);
            assertTrue(server.registered("owner"));
            assertTrue(tail.await("REFUSED", "owner").data().get("reason").asText().contains("another identity"));
            assertEquals(ResponseCode.CHANGED, owner.update());
        }
    }

    @Test
    void oneNumberBeyondAllSenseStopsNobody() throws Exception {
        try (RawDevice device = new RawDevice(server, "absurd"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            for (int index = 0; index < 4; index++) {
                assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_JSON,
                        utf8("[{'n':'/3303/0/5700','v':1,'t':1e100000000}]")));
            }
            tail.await("UNDECODED", "absurd");
            assertEquals(ResponseCode.CHANGED, device.update());
        }
    }

    @Test
    void keepsWhatItCannotUnderstandAndSaysSo() throws Exception {
        try (RawDevice device = new RawDevice(server, "garbled"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            byte[] rubbish = { 1, 2, (byte) 0xff };
            assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_CBOR, rubbish));
            JsonNode event = tail.await("UNDECODED", "garbled").data();
            assertEquals("0102ff", event.get("hex").asText());
            assertEquals("SENML_CBOR", event.get("format").asText());
            assertTrue(event.get("error").asText().length() > 3);

            assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_JSON,
                    utf8("[{'bn':'/3303/0/','n':'5700','vs':'warm'},{'n':'5701','vs':'Cel'}]")));
            JsonNode send = tail.await("SEND", "garbled").data();
            assertEquals("Cel", send.at("/val/~13303~10~15701/value").asText());
            eventually("the bad value is told too", () -> tail.events.stream()
                    .filter(each -> each.is("UNDECODED", "garbled")).count() == 2);

            server.json("POST", "/api/clients/garbled/3303/0/5700/observe", null);
            device.value.set(MediaTypeRegistry.TEXT_PLAIN, utf8("hot"));
            EventTail.Event notification = tail.await("an undecoded notification", each -> each.is("UNDECODED", "garbled")
                    && each.data().path("path").asText().equals("/3303/0/5700"));
            assertEquals(HexFormat.of().formatHex(utf8("hot")), notification.data().get("hex").asText());
        }
    }

    @Test
    void keepsASeriesWithAllItsTimes() throws Exception {
        try (RawDevice device = new RawDevice(server, "series"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_JSON,
                    utf8("[{'bn':'/3303/0/5700','bt':1700000000,'v':1},{'v':2},{'v':3,'t':60}]")));
            JsonNode event = tail.await("SEND", "series").data();
            assertEquals("3.0", event.at("/val/~13303~10~15700/value").asText(), "the newest");
            assertEquals(3, event.get("samples").size());
            assertEquals(1700000000000L, event.at("/samples/0/time").longValue());
            assertEquals(1700000000000.001, event.at("/samples/1/time").doubleValue());
            assertEquals("2.0", event.at("/samples/1/nodes/~13303~10~15700/value").asText());

            String large = "[{'bn':'/3303/0/5700','bt':1700000000,'v':0}" + ",{'v':1.25},{'v':2.5}".repeat(2500) + "]";
            assertEquals(ResponseCode.CHANGED, device.post(MediaTypeRegistry.APPLICATION_SENML_JSON, utf8(large)));
            tail.await("a large Send, block by block", each -> each.is("SEND", "series")
                    && each.data().get("samples").size() == 5001);
        }
    }

    @Test
    void tellsThatADeviceEndedAnObservation() throws Exception {
        try (RawDevice device = new RawDevice(server, "ending"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            server.json("POST", "/api/clients/ending/3303/0/5700/observe", null);
            device.value.set(MediaTypeRegistry.TEXT_PLAIN, utf8("1.5"));
            tail.await("NOTIFICATION", "ending");
            device.value.end();
            JsonNode lost = tail.await("OBSERVATION_LOST", "ending").data();
            assertEquals("/3303/0/5700", lost.get("path").asText());
            assertEquals("4.04", lost.get("code").asText());
            eventually("it is forgotten", () -> server
                    .call("DELETE", "/api/clients/ending/3303/0/5700/observe?active", null).statusCode() == 404);
        }
    }

    @Test
    void aSleepingDeviceIsNotAskedAndWakesWithAnyMessage() throws Exception {
        assertEquals(204, server.call("PUT", "/api/clients/sleeper/awake", "{\"seconds\":1}").statusCode());
        assertEquals(400, server.call("PUT", "/api/clients/sleeper/awake", "{\"seconds\":0}").statusCode());
        try (RawDevice device = new RawDevice(server, "sleeper"); EventTail tail = new EventTail(server, "", null)) {
            device.register("Q");
            JsonNode registered = tail.await("REGISTRATION", "sleeper").data();
            assertTrue(registered.get("queuemode").booleanValue());
            tail.await("SLEEPING", "sleeper");
            assertTrue(server.json("GET", "/api/clients/sleeper", null).get("sleeping").booleanValue());
            HttpResponse<String> asked = server.get("/api/clients/sleeper/3303/0/5700?timeout=20");
            assertEquals("504 Request timeout: the device is sleeping", asked.statusCode() + " " + asked.body());

            device.update();
            tail.await("AWAKE", "sleeper");
            assertEquals("21.5", server.json("GET", "/api/clients/sleeper/3303/0/5700", null).at("/content/value").asText());
            eventually("it sleeps again", () -> tail.events.stream().filter(each -> each.is("SLEEPING", "sleeper"))
                    .count() == 2);
            device.post(MediaTypeRegistry.APPLICATION_SENML_JSON, utf8("[{'n':'/3303/0/5700','v':1}]"));
            eventually("a Send wakes it too", () -> tail.events.stream().filter(each -> each.is("AWAKE", "sleeper"))
                    .count() == 2);
        }
    }

    @Test
    void requestsThatWaitForADeviceHoldNobodyUp() throws Exception {
        try (RawDevice silent = new RawDevice(server, "silent"); RawDevice quick = new RawDevice(server, "quick")) {
            silent.register();
            quick.register();
            silent.fallSilent();
            List<CompletableFuture<HttpResponse<String>>> waiting = new ArrayList<>();
            for (int index = 0; index < 200; index++) {
                waiting.add(server.http.sendAsync(server.request("/api/clients/silent/3303/0/" + index + "?timeout=8").build(),
                        HttpResponse.BodyHandlers.ofString()));
            }
            for (int round = 0; round < 20; round++) {
                assertEquals("21.5", server.json("GET", "/api/clients/quick/3303/0/5700", null).at("/content/value")
                        .asText());
            }
            assertTrue(waiting.stream().noneMatch(CompletableFuture::isDone), "all of them were waiting meanwhile");
            assertTrue(server.json("GET", "/api/clients", null).findValuesAsText("endpoint")
                    .containsAll(List.of("silent", "quick")));
            for (CompletableFuture<HttpResponse<String>> each : waiting) {
                assertEquals(504, each.get().statusCode());
            }
        }
    }

    @Test
    void aListenerThatTakesNothingDelaysNoOther() throws Exception {
        try (RawDevice device = new RawDevice(server, "busy"); EventTail tail = new EventTail(server, "", null)) {
            device.register();
            HttpResponse<InputStream> stalled = server.http.send(server.request("/api/event")
                    .header("Accept", "text/event-stream").build(), HttpResponse.BodyHandlers.ofInputStream());
            assertEquals(200, stalled.statusCode());
            byte[] large = utf8("[{'n':'/3303/0/5518','vs':'" + "x".repeat(60_000) + "'},{'n':'/3303/0/5700','v':1}]");
            for (int index = 0; index < 100; index++) {
                device.post(MediaTypeRegistry.APPLICATION_SENML_JSON, large);
            }
            eventually("the other has all", () -> tail.events.stream().filter(each -> each.data().path("ep").asText()
                    .equals("busy")).count() >= 100);
            stalled.body().close();
        }
    }
}
