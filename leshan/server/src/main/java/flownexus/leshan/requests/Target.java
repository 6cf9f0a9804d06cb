package flownexus.leshan.requests;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.JsonNode;

/**
 * What a request is about.
 *
 * @param path the LwM2M path; empty for a composite
 * @param paths those of a composite; empty for any other
 */
public record Target(String endpoint, String path, List<String> paths) {

    static Target read(JsonNode json) {
        List<String> paths = new ArrayList<>();
        json.path("paths").forEach(each -> paths.add(each.asText()));
        return new Target(json.path("ep").asText(), json.path("path").asText(), paths);
    }

    void writeFields(JsonGenerator json) throws IOException {
        json.writeStringField("ep", endpoint);
        json.writeStringField("path", path);
        if (!paths.isEmpty()) {
            json.writeArrayFieldStart("paths");
            for (String each : paths) {
                json.writeString(each);
            }
            json.writeEndArray();
        }
    }
}
