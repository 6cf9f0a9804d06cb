package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Predicate;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.json.Json;

/** Reads a server's event stream and remembers all of it. */
final class EventTail implements AutoCloseable {

    record Event(String id, String type, JsonNode data) {

        boolean is(String wanted, String endpoint) {
            return type.equals(wanted) && (data.path("ep").asText().equals(endpoint)
                    || data.path("endpoint").asText().equals(endpoint)
                    || data.path("registration").path("endpoint").asText().equals(endpoint));
        }
    }

    final List<Event> events = new CopyOnWriteArrayList<>();
    final List<String> comments = new CopyOnWriteArrayList<>();
    private final InputStream body;
    private final Thread reader;

    /** @param lastEventId null to start live */
    EventTail(TestServer server, String query, String lastEventId) throws Exception {
        HttpRequest.Builder request = server.request("/api/event" + query).header("Accept", "text/event-stream")
                .timeout(Duration.ofMinutes(5));
        if (lastEventId != null) {
            request.header("Last-Event-ID", lastEventId);
        }
        HttpResponse<InputStream> response = server.http.send(request.build(),
                HttpResponse.BodyHandlers.ofInputStream());
        if (response.statusCode() != 200) {
            throw new AssertionError("event stream: " + response.statusCode());
        }
        body = response.body();
        reader = new Thread(this::read, "event-tail");
        reader.setDaemon(true);
        reader.start();
        eventually("the stream has begun", () -> !comments.isEmpty() || !events.isEmpty());
    }

    private void read() {
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(body, StandardCharsets.UTF_8))) {
            String id = null;
            String type = null;
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (line.startsWith(": ")) {
                    comments.add(line.substring(2));
                } else if (line.startsWith("id: ")) {
                    id = line.substring(4);
                } else if (line.startsWith("event: ")) {
                    type = line.substring(7);
                } else if (line.startsWith("data: ")) {
                    events.add(new Event(id, type, Json.MAPPER.readTree(line.substring(6))));
                    id = null;
                }
            }
        } catch (IOException | UncheckedIOException e) {
            comments.add("ended");
        }
    }

    /** The first event that fits, as soon as there is one. */
    Event await(String what, Predicate<Event> fits) {
        Event[] found = new Event[1];
        eventually(what + " among " + summary(), () -> {
            found[0] = events.stream().filter(fits).findFirst().orElse(null);
            return found[0] != null;
        });
        return found[0];
    }

    Event await(String type, String endpoint) {
        return await(type + " of " + endpoint, event -> event.is(type, endpoint));
    }

    private String summary() {
        return events.stream().map(Event::type).toList().toString();
    }

    @Override
    public void close() throws IOException {
        body.close();
    }
}
