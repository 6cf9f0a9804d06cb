package flownexus.leshan.http;

import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.request.ContentFormat;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.coap.StoredPayload;
import flownexus.leshan.json.Json;

/** {@code POST /api/clients/EP/decode}: decodes again what an UNDECODED event has kept, with the models of now. */
final class DecodeApi {

    /** The largest payload that devices can send in hexadecimal has less than 4 MiB; and some room for the rest. */
    private static final int MAX_BYTES = 5 << 20;
    private static final int MAX_LINKS = 10_000;

    private final LwM2mService lwm2m;

    DecodeApi(LwM2mService lwm2m) {
        this.lwm2m = lwm2m;
    }

    void handle(Call call, String endpoint) {
        call.withBody(MAX_BYTES, body -> {
            try {
                StoredPayload payload = payload(body);
                Json.Writer answer = lwm2m.decode(endpoint, payload);
                call.json(json -> {
                    json.writeStartObject();
                    answer.write(json);
                    json.writeEndObject();
                });
            } catch (CodecException e) {
                call.text(400, "Not decodable: " + e.getMessage());
            } catch (IllegalArgumentException e) {
                call.text(400, "Invalid request: " + e.getMessage());
            }
        });
    }

    private static StoredPayload payload(byte[] body) {
        JsonNode json;
        try {
            json = Json.MAPPER.readTree(body);
        } catch (IOException e) {
            throw new IllegalArgumentException("the body is not JSON: " + e.getMessage().lines().findFirst().orElse(""), e);
        }
        if (!json.path("contentFormat").isInt() || !json.path("hex").isTextual()) {
            throw new IllegalArgumentException(
                    "{\"contentFormat\": a CoAP content format, \"hex\": the payload in hexadecimal, …} is expected");
        }
        byte[] octets;
        try {
            octets = HexFormat.of().parseHex(json.path("hex").textValue());
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("hex is not hexadecimal", e);
        }
        JsonNode time = json.path("time");
        if (!time.isMissingNode() && !time.canConvertToLong()) {
            throw new IllegalArgumentException("time is a number of milliseconds since 1970");
        }
        JsonNode root = json.path("rootPath");
        return new StoredPayload(octets, ContentFormat.fromCode(json.path("contentFormat").intValue()),
                paths(json.path("paths")), root.isTextual() ? root.textValue() : null, versions(json.path("objectLinks")),
                time.isMissingNode() ? System.currentTimeMillis() : time.longValue());
    }

    private static List<LwM2mPath> paths(JsonNode json) {
        List<LwM2mPath> paths = new ArrayList<>();
        for (JsonNode each : json) {
            try {
                paths.add(new LwM2mPath(each.asText()));
            } catch (RuntimeException e) {
                throw new IllegalArgumentException("paths: '%.40s' is no path".formatted(each.asText()), e);
            }
        }
        return paths;
    }

    /** The versions that links tell, as in a registration; null if there are no links. */
    private static Map<Integer, Version> versions(JsonNode links) {
        if (!links.isArray()) {
            return null;
        }
        if (links.size() > MAX_LINKS) {
            throw new IllegalArgumentException("objectLinks has more than %d links".formatted(MAX_LINKS));
        }
        Map<Integer, Version> versions = new HashMap<>();
        for (JsonNode link : links) {
            String version = link.path("attributes").path("ver").asText().replace("\"", "");
            String[] url = link.path("url").asText().split("/");
            // a device's mistake in a version counts as 1.0, as it does while it is registered
            if (Version.validate(version) == null && url.length > 1 && url[1].matches("[0-9]{1,5}")) {
                versions.put(Integer.valueOf(url[1]), new Version(version));
            }
        }
        return versions;
    }
}
