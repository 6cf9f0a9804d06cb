package flownexus.leshan.coap;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.json.NodeWriter;

/**
 * Values of one moment.
 *
 * @param time ms since 1970, or null if the device gave none
 * @param rawTime seconds as the device sent them, where {@code time} is not just that; else null
 * @param nodes by path
 */
record Sample(BigDecimal time, BigDecimal rawTime, Map<LwM2mPath, LwM2mNode> nodes) {

    /** The newest node of each path; samples are ordered oldest first. */
    static Map<LwM2mPath, LwM2mNode> newest(List<Sample> samples) {
        Map<LwM2mPath, LwM2mNode> newest = new LinkedHashMap<>();
        samples.forEach(sample -> newest.putAll(sample.nodes));
        return newest;
    }

    static void write(JsonGenerator json, List<Sample> samples) throws IOException {
        json.writeArrayFieldStart("samples");
        for (Sample sample : samples) {
            json.writeStartObject();
            NodeWriter.writeMillis(json, "time", sample.time);
            if (sample.rawTime != null) {
                json.writeNumberField("rawTime", sample.rawTime);
            }
            json.writeFieldName("nodes");
            NodeWriter.write(json, sample.nodes);
            json.writeEndObject();
        }
        json.writeEndArray();
    }
}
