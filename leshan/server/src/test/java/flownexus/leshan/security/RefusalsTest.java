package flownexus.leshan.security;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.TestPki;
import flownexus.leshan.events.EventLog;
import flownexus.leshan.journal.Entry;
import flownexus.leshan.journal.Journal;
import flownexus.leshan.json.Json;
import flownexus.leshan.security.Refusals.Refusal;

class RefusalsTest {

    @TempDir
    Path folder;

    private Journal journal;
    private Refusals refusals;

    @BeforeEach
    void open() throws IOException {
        journal = Journal.open(folder, 1 << 20);
        refusals = new Refusals(new EventLog(journal));
    }

    @AfterEach
    void close() throws IOException {
        journal.close();
    }

    private List<JsonNode> events(int count) throws IOException {
        eventually(count + " events", () -> journal.last() == count);
        List<JsonNode> events = new ArrayList<>();
        for (Entry entry : journal.read(0, 1 << 20)) {
            assertEquals("REFUSED", entry.type());
            events.add(Json.MAPPER.readTree(entry.data()));
        }
        return events;
    }

    private static InetSocketAddress peer(int number) {
        return new InetSocketAddress("192.0.2." + number, 5684);
    }

    @Test
    void saysAllThatIsKnown() throws IOException {
        TestPki pki = new TestPki("Some CA");
        TestPki.Issued device = pki.device("it's \"me\"");
        refusals.report(Refusal.of(new InetSocketAddress("2001:db8::1", 1), "because").endpoint("it's \"me\"")
                .identity("psk").certificate(device.certificate()).alert("unknown_ca"));

        JsonNode event = events(1).get(0);
        assertEquals("server", event.get("by").asText());
        assertEquals("[2001:db8:0:0:0:0:0:1]:1", event.get("peer").asText());
        assertEquals("it's \"me\"", event.get("endpoint").asText());
        assertEquals("psk", event.get("identity").asText());
        assertEquals("CN=it's \\\"me\\\"", event.get("subject").asText());
        assertEquals("CN=Some CA", event.get("issuer").asText());
        assertEquals(Certificates.sha256(device.certificate()), event.get("sha256").asText());
        assertEquals(device.certificate().getNotAfter().getTime(), event.get("notAfter").longValue());
        assertTrue(event.get("notBefore").longValue() < event.get("notAfter").longValue());
        assertEquals("unknown_ca", event.get("alert").asText());
        assertEquals("because", event.get("reason").asText());
        assertFalse(event.has("omitted"));
    }

    @Test
    void tellsTheSameStoryOfAPeerOnceAMinute() throws IOException {
        for (int port = 1; port <= 3; port++) {
            refusals.report(Refusal.of(new InetSocketAddress("192.0.2.1", port), "again"));
        }
        refusals.report(Refusal.of(peer(1), "another reason").byTheDevice());

        List<JsonNode> events = events(2);
        assertEquals("again", events.get(0).get("reason").asText());
        assertEquals("another reason", events.get(1).get("reason").asText());
        assertEquals("device", events.get(1).get("by").asText());
        assertEquals(2, events.get(1).get("omitted").intValue());
    }

    @Test
    void tellsAtMostFiveASecondAndHowManyItLeftOut() throws IOException {
        for (int number = 1; number <= 30; number++) {
            refusals.report(Refusal.of(peer(number), "many"));
        }
        assertEquals(5, events(5).size());
        int[] further = { 100 };
        eventually("there is room again", () -> {
            refusals.report(Refusal.of(peer(further[0]++ % 250), "later " + further[0]));
            return journal.last() >= 6;
        });
        assertTrue(events((int) journal.last()).get(5).get("omitted").intValue() >= 25);
    }
}
