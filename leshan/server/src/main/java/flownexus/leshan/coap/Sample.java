package flownexus.leshan.coap;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;

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

    /**
     * Samples in parts of so much weight at most: a value weighs one, a long one more. A sample stays whole, so a part may be
     * one heavier sample. One part of none where there are none.
     */
    static List<List<Sample>> parts(List<Sample> samples, int weight) {
        List<List<Sample>> parts = new ArrayList<>();
        int from = 0;
        int held = 0;
        for (int index = 0; index < samples.size(); index++) {
            int more = samples.get(index).nodes.values().stream().mapToInt(Sample::weight).sum();
            if (index > from && held + more > weight) {
                parts.add(samples.subList(from, index));
                from = index;
                held = 0;
            }
            held += more;
        }
        parts.add(samples.subList(from, samples.size()));
        return parts;
    }

    private static int weight(LwM2mNode node) {
        if (node instanceof LwM2mObject object) {
            return object.getInstances().values().stream().mapToInt(Sample::weight).sum();
        } else if (node instanceof LwM2mObjectInstance instance) {
            return instance.getResources().values().stream().mapToInt(Sample::weight).sum();
        } else if (node instanceof LwM2mMultipleResource resource) {
            return resource.getInstances().values().stream().mapToInt(Sample::weight).sum();
        } else if (node instanceof LwM2mSingleResource resource) {
            return weight(resource.getValue());
        } else if (node instanceof LwM2mResourceInstance instance) {
            return weight(instance.getValue());
        }
        return 1;
    }

    /** In JSON a value has some 100 bytes beside it, and octets are in hexadecimal. */
    private static int weight(Object value) {
        if (value instanceof byte[] octets) {
            return 1 + octets.length / 50;
        }
        return value instanceof String text ? 1 + text.length() / 100 : 1;
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
