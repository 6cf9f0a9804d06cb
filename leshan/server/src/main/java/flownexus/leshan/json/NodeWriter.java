package flownexus.leshan.json;

import java.io.IOException;
import java.math.BigDecimal;
import java.util.Collection;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.link.DefaultLinkSerializer;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.link.LinkSerializer;
import org.eclipse.leshan.core.link.attributes.Attribute;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mRoot;
import org.eclipse.leshan.core.node.ObjectLink;

import com.fasterxml.jackson.core.JsonGenerator;

/**
 * LwM2M nodes as JSON. Numbers are strings, because a JavaScript number holds no 64 bits; times are milliseconds; opaque
 * values are hexadecimal.
 */
public final class NodeWriter {

    private static final LinkSerializer LINKS = new DefaultLinkSerializer();

    private NodeWriter() {
    }

    /** Writes a node; null as {@code null}. */
    public static void write(JsonGenerator json, LwM2mNode node) throws IOException {
        if (node == null) {
            json.writeNull();
            return;
        }
        json.writeStartObject();
        if (node instanceof LwM2mRoot root) {
            json.writeStringField("kind", "root");
            writeAll(json, "objects", root.getObjects().values());
        } else if (node instanceof LwM2mObject object) {
            json.writeStringField("kind", "obj");
            json.writeNumberField("id", object.getId());
            writeAll(json, "instances", object.getInstances().values());
        } else if (node instanceof LwM2mObjectInstance instance) {
            json.writeStringField("kind", "instance");
            json.writeNumberField("id", instance.getId());
            writeAll(json, "resources", instance.getResources().values());
        } else if (node instanceof LwM2mResource resource) {
            json.writeStringField("kind", resource.isMultiInstances() ? "multiResource" : "singleResource");
            json.writeNumberField("id", resource.getId());
            json.writeStringField("type", resource.getType().name());
            if (resource.isMultiInstances()) {
                json.writeObjectFieldStart("values");
                for (LwM2mResourceInstance instance : resource.getInstances().values()) {
                    json.writeFieldName(String.valueOf(instance.getId()));
                    writeValue(json, resource.getType(), instance.getValue());
                }
                json.writeEndObject();
            } else {
                json.writeFieldName("value");
                writeValue(json, resource.getType(), resource.getValue());
            }
        } else if (node instanceof LwM2mResourceInstance instance) {
            json.writeStringField("kind", "resourceInstance");
            json.writeNumberField("id", instance.getId());
            json.writeStringField("type", instance.getType().name());
            json.writeFieldName("value");
            writeValue(json, instance.getType(), instance.getValue());
        } else {
            throw new IllegalArgumentException("a node of class " + node.getClass().getName());
        }
        json.writeEndObject();
    }

    /** Writes nodes by path as an object. */
    public static void write(JsonGenerator json, Map<LwM2mPath, ? extends LwM2mNode> nodes) throws IOException {
        json.writeStartObject();
        for (Map.Entry<LwM2mPath, ? extends LwM2mNode> entry : nodes.entrySet()) {
            json.writeFieldName(entry.getKey().toString());
            write(json, entry.getValue());
        }
        json.writeEndObject();
    }

    /** Writes links as {@code [{"url":…,"attributes":{…}}]}. */
    public static void writeLinks(JsonGenerator json, Link[] links) throws IOException {
        json.writeStartArray();
        for (Link link : links) {
            json.writeStartObject();
            json.writeStringField("url", link.getUriReference());
            json.writeObjectFieldStart("attributes");
            for (Attribute attribute : link.getAttributes()) {
                json.writeStringField(attribute.getName(), attribute.getCoreLinkValue());
            }
            json.writeEndObject();
            json.writeEndObject();
        }
        json.writeEndArray();
    }

    /** Writes a time in ms with at most three decimals (microseconds tell equal times apart), or null. */
    public static void writeMillis(JsonGenerator json, String field, BigDecimal millis) throws IOException {
        json.writeFieldName(field);
        if (millis == null) {
            json.writeNull();
        } else {
            BigDecimal plain = millis.stripTrailingZeros();
            json.writeNumber(plain.scale() < 0 ? plain.setScale(0) : plain);
        }
    }

    private static void writeAll(JsonGenerator json, String field, Collection<? extends LwM2mNode> nodes)
            throws IOException {
        json.writeArrayFieldStart(field);
        for (LwM2mNode node : List.copyOf(nodes)) {
            write(json, node);
        }
        json.writeEndArray();
    }

    private static void writeValue(JsonGenerator json, Type type, Object value) throws IOException {
        switch (type) {
        case OPAQUE -> json.writeString(HexFormat.of().formatHex((byte[]) value));
        case INTEGER, UNSIGNED_INTEGER, FLOAT -> json.writeString(value.toString());
        case BOOLEAN -> json.writeBoolean((Boolean) value);
        case TIME -> json.writeNumber(((Date) value).getTime());
        case OBJLNK -> {
            ObjectLink link = (ObjectLink) value;
            json.writeStartObject();
            json.writeNumberField("objectId", link.getObjectId());
            json.writeNumberField("objectInstanceId", link.getObjectInstanceId());
            json.writeBooleanField("nullLink", link.isNullLink());
            json.writeEndObject();
        }
        case CORELINK -> json.writeString(LINKS.serializeCoreLinkFormat((Link[]) value));
        default -> json.writeString(String.valueOf(value));
        }
    }
}
