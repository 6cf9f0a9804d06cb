package flownexus.leshan.http;

import java.io.IOException;
import java.util.List;

import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.response.CreateResponse;
import org.eclipse.leshan.core.response.DiscoverResponse;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ReadCompositeResponse;
import org.eclipse.leshan.core.response.ReadResponse;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.json.NodeWriter;

/** A device's answer as JSON. */
final class ResponseWriter {

    private ResponseWriter() {
    }

    /** @param guessed the paths of values whose types are not known */
    static void write(JsonGenerator json, LwM2mResponse response, List<LwM2mPath> guessed) throws IOException {
        json.writeStartObject();
        json.writeStringField("status", response.getCode().toString());
        json.writeBooleanField("valid", response.isValid());
        json.writeBooleanField("success", response.isSuccess());
        json.writeBooleanField("failure", response.isFailure());
        if (response instanceof ReadResponse read && read.getContent() != null) {
            json.writeFieldName("content");
            NodeWriter.write(json, read.getContent());
        } else if (response instanceof ReadCompositeResponse read && read.getContent() != null) {
            json.writeFieldName("content");
            NodeWriter.write(json, read.getContent());
        } else if (response instanceof DiscoverResponse discover && discover.getObjectLinks() != null) {
            json.writeFieldName("objectLinks");
            NodeWriter.writeLinks(json, discover.getObjectLinks());
        } else if (response instanceof CreateResponse create && create.getLocation() != null) {
            json.writeStringField("location", create.getLocation());
        }
        if (response.isFailure() && response.getErrorMessage() != null && !response.getErrorMessage().isEmpty()) {
            json.writeStringField("errormessage", response.getErrorMessage());
        }
        if (!guessed.isEmpty()) {
            json.writeArrayFieldStart("guessed");
            for (LwM2mPath path : guessed) {
                json.writeString(path.toString());
            }
            json.writeEndArray();
        }
        json.writeEndObject();
    }
}
