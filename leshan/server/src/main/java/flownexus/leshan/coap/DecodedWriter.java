package flownexus.leshan.coap;

import java.io.IOException;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.node.LwM2mPath;

import com.fasterxml.jackson.core.JsonGenerator;

/** Fields that all say alike who tell what a payload held. */
final class DecodedWriter {

    private DecodedWriter() {
    }

    /** @param part those of its samples that are to be told now */
    static void write(JsonGenerator json, SampleDecoder.Decoded decoded, List<Sample> part) throws IOException {
        if (decoded.clockless()) {
            json.writeStringField("clock", "none");
        }
        Sample.write(json, part);
        writeGuessed(json, decoded.guessed());
    }

    /** Nothing if there are none. */
    static void writeGuessed(JsonGenerator json, List<LwM2mPath> guessed) throws IOException {
        if (!guessed.isEmpty()) {
            json.writeArrayFieldStart("guessed");
            for (LwM2mPath path : guessed) {
                json.writeString(path.toString());
            }
            json.writeEndArray();
        }
    }

    /** The versions in which a client announced its objects, as links; without those in version 1.0, which are most. */
    static void writeVersions(JsonGenerator json, Map<Integer, Version> announced) throws IOException {
        json.writeArrayFieldStart("objectLinks");
        for (Map.Entry<Integer, Version> object : announced.entrySet()) {
            if (!Version.getDefault().equals(object.getValue())) {
                json.writeStartObject();
                json.writeStringField("url", "/" + object.getKey());
                json.writeObjectFieldStart("attributes");
                json.writeStringField("ver", object.getValue().toString());
                json.writeEndObject();
                json.writeEndObject();
            }
        }
        json.writeEndArray();
    }
}
