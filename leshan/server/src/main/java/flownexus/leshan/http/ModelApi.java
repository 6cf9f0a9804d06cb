package flownexus.leshan.http;

import java.io.IOException;
import java.util.List;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.events.LogText;
import flownexus.leshan.models.ModelStore;

/** {@code /api/models}: object models that were put at run time. */
final class ModelApi {

    private static final int MAX_BYTES = 1 << 20;

    private final ModelStore models;

    ModelApi(ModelStore models) {
        this.models = models;
    }

    void handle(Call call) {
        if (call.path.isEmpty()) {
            if (call.method().equals("GET")) {
                list(call);
            } else {
                call.text(405, "Method not allowed");
            }
            return;
        }
        List<String> path = call.path;
        if (path.size() != 2 || !path.get(0).matches("[0-9]{1,5}") || !path.get(1).matches("[0-9]{1,3}\\.[0-9]{1,3}")) {
            call.text(400, "Invalid path: /api/models/{objectId}/{version} is expected, such as /api/models/30001/1.0");
            return;
        }
        int id = Integer.parseInt(path.get(0));
        String version = path.get(1);
        switch (call.method()) {
        case "PUT" -> call.withBody(body -> put(call, id, version, body));
        case "DELETE" -> delete(call, id, version);
        default -> call.text(405, "Method not allowed");
        }
    }

    private void list(Call call) {
        call.json(json -> {
            json.writeStartArray();
            for (ModelStore.Uploaded each : models.all()) {
                write(json, each);
            }
            json.writeEndArray();
        });
    }

    private void put(Call call, int id, String version, byte[] body) {
        if (body.length > MAX_BYTES) {
            call.text(413, "an object model may have at most 1 MiB");
            return;
        }
        try {
            ModelStore.Uploaded stored = models.put(id, version, body);
            call.json(json -> write(json, stored));
        } catch (IllegalArgumentException e) {
            call.text(400, "Invalid object model: " + LogText.of(e.getMessage()));
        } catch (IOException e) {
            call.text(500, "Unexpected exception: the object model cannot be written: " + e.getMessage());
        }
    }

    private void delete(Call call, int id, String version) {
        try {
            if (models.delete(id, version)) {
                call.empty(204);
            } else {
                call.text(404, "no object model " + id + "/" + version + " has been put");
            }
        } catch (IOException e) {
            call.text(500, "Unexpected exception: the object model cannot be removed: " + e.getMessage());
        }
    }

    private static void write(JsonGenerator json, ModelStore.Uploaded uploaded) throws IOException {
        json.writeStartObject();
        json.writeNumberField("id", uploaded.model().id);
        json.writeStringField("version", uploaded.model().version);
        json.writeStringField("name", uploaded.model().name);
        json.writeStringField("sha256", uploaded.sha256());
        json.writeEndObject();
    }
}
