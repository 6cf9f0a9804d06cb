package flownexus.leshan.json;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.time.OffsetDateTime;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;

import org.eclipse.leshan.core.link.LinkParseException;
import org.eclipse.leshan.core.link.lwm2m.DefaultLwM2mLinkParser;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLinkParser;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mChildNode;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.util.datatype.ULong;

import com.fasterxml.jackson.databind.JsonNode;

/**
 * JSON as LwM2M nodes, with the path they are for. {@code kind} may be missing where the fields tell it, {@code id} where the
 * path tells it, {@code type} where the object's model does. Ids and values may be text, as the demo server's pages send them
 * (a BOOLEAN as {@code "true"}, a TIME as ISO 8601, an OBJLNK as {@code "3:0"}).
 */
public final class NodeReader {

    private static final LwM2mLinkParser LINKS = new DefaultLwM2mLinkParser();

    private final LwM2mModel model;

    /** @param model of the client that the nodes are for */
    public NodeReader(LwM2mModel model) {
        this.model = model;
    }

    /**
     * Reads a node.
     *
     * @param path where it belongs; for a Create an object's, for a node that is an instance
     * @throws IllegalArgumentException with one line that says what is wrong
     */
    public LwM2mChildNode read(JsonNode json, LwM2mPath path) {
        if (!json.isObject()) {
            throw new IllegalArgumentException("Invalid node element: a JSON object is expected");
        }
        String kind = json.path("kind").asText();
        if (kind.equals("obj") || json.has("instances")) {
            List<LwM2mObjectInstance> instances = new ArrayList<>();
            for (JsonNode each : array(json, "instances")) {
                instances.add(instance(each, path.getObjectId(), null));
            }
            return new LwM2mObject(id(json, path.getObjectId()), instances);
        }
        if (kind.equals("instance") || json.has("resources")) {
            return instance(json, path.getObjectId(), path.getObjectInstanceId());
        }
        if (kind.equals("resourceInstance") || path.isResourceInstance()) {
            Type type = type(json, path.getObjectId(), path.getResourceId());
            return LwM2mResourceInstance.newInstance(id(json, path.getResourceInstanceId()),
                    value(present(json, "value"), type), type);
        }
        return resource(json, path.getObjectId(), path.getResourceId());
    }

    private LwM2mObjectInstance instance(JsonNode json, Integer objectId, Integer instanceId) {
        List<LwM2mResource> resources = new ArrayList<>();
        for (JsonNode each : array(json, "resources")) {
            resources.add(resource(each, objectId, null));
        }
        if (!json.has("id") && instanceId == null) {
            return new LwM2mObjectInstance(resources);
        }
        return new LwM2mObjectInstance(id(json, instanceId), resources);
    }

    private LwM2mResource resource(JsonNode json, Integer objectId, Integer resourceId) {
        int id = id(json, resourceId);
        Type type = type(json, objectId, id);
        if (json.path("kind").asText().equals("multiResource") || json.has("values")) {
            JsonNode values = present(json, "values");
            if (!values.isObject()) {
                throw new IllegalArgumentException("Values element is not an object");
            }
            Map<Integer, Object> instances = new TreeMap<>();
            for (Map.Entry<String, JsonNode> field : values.properties()) {
                if (!field.getKey().matches("[0-9]{1,5}")) {
                    throw new IllegalArgumentException("'" + field.getKey() + "' is not a resource instance's number");
                }
                instances.put(Integer.valueOf(field.getKey()), value(field.getValue(), type));
            }
            return LwM2mMultipleResource.newResource(id, instances, type);
        }
        return LwM2mSingleResource.newResource(id, value(present(json, "value"), type), type);
    }

    private static int id(JsonNode json, Integer fromPath) {
        JsonNode id = json.path("id");
        if (id.isInt()) {
            return id.intValue();
        }
        if (id.isTextual() && id.textValue().matches("[0-9]{1,5}")) {
            return Integer.parseInt(id.textValue());
        }
        if (fromPath == null || !id.isMissingNode()) {
            throw new IllegalArgumentException("Missing id");
        }
        return fromPath;
    }

    private static JsonNode present(JsonNode json, String field) {
        if (!json.has(field)) {
            throw new IllegalArgumentException("Invalid node element: missing " + field);
        }
        return json.get(field);
    }

    private static JsonNode array(JsonNode json, String field) {
        JsonNode array = present(json, field);
        if (!array.isArray()) {
            throw new IllegalArgumentException(field + " is not an array");
        }
        return array;
    }

    private Type type(JsonNode json, Integer objectId, Integer resourceId) {
        if (json.hasNonNull("type")) {
            try {
                return Type.valueOf(json.get("type").asText().toUpperCase(Locale.ROOT));
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("unknown type '" + json.get("type").asText() + "'", e);
            }
        }
        ResourceModel resource = objectId == null || resourceId == null ? null
                : model.getResourceModel(objectId, resourceId);
        if (resource == null || resource.type == null) {
            throw new IllegalArgumentException(
                    "Missing type: no model knows resource " + objectId + "/" + resourceId);
        }
        return resource.type;
    }

    private static Object value(JsonNode json, Type type) {
        try {
            switch (type) {
            case STRING:
                return require(json.isTextual(), json, type).textValue();
            case BOOLEAN:
                boolean named = json.isTextual() && json.textValue().matches("true|false");
                return require(json.isBoolean() || named, json, type).asBoolean();
            case INTEGER:
                return json.isTextual() ? Long.parseLong(json.textValue())
                        : require(json.canConvertToLong() && json.canConvertToExactIntegral(), json, type).longValue();
            case UNSIGNED_INTEGER:
                return json.isTextual() ? ULong.valueOf(new BigInteger(json.textValue()))
                        : ULong.valueOf(require(json.canConvertToExactIntegral(), json, type).bigIntegerValue());
            case FLOAT:
                double number = json.isTextual() ? Double.parseDouble(json.textValue())
                        : require(json.isNumber(), json, type).doubleValue();
                return finite(number, json, type);
            case TIME:
                return json.isTextual() ? time(json.textValue())
                        : new Date(require(json.canConvertToLong() && json.canConvertToExactIntegral(), json, type)
                                .longValue());
            case OPAQUE:
                return HexFormat.of().parseHex(require(json.isTextual(), json, type).textValue());
            case OBJLNK:
                if (json.isTextual() && json.textValue().matches("[0-9]{1,5}:[0-9]{1,5}")) {
                    return ObjectLink.decodeFromString(json.textValue());
                }
                boolean complete = json.path("objectId").isInt() && json.path("objectInstanceId").isInt();
                require(complete, json, type);
                return new ObjectLink(json.get("objectId").intValue(), json.get("objectInstanceId").intValue());
            case CORELINK:
                return LINKS.parseCoreLinkFormat(
                        require(json.isTextual(), json, type).textValue().getBytes(StandardCharsets.UTF_8));
            default:
                throw new IllegalArgumentException("Type " + type + " cannot be written");
            }
        } catch (NumberFormatException | DateTimeParseException e) {
            throw new IllegalArgumentException(shown(json) + " is not a valid " + type, e);
        } catch (LinkParseException e) {
            throw new IllegalArgumentException("Invalid Links: " + e.getMessage(), e);
        }
    }

    /** @throws DateTimeParseException if it is neither milliseconds nor ISO 8601 */
    private static Date time(String text) {
        return text.matches("-?[0-9]+") ? new Date(Long.parseLong(text))
                : Date.from(OffsetDateTime.parse(text).toInstant());
    }

    private static double finite(double number, JsonNode json, Type type) {
        require(!Double.isNaN(number) && !Double.isInfinite(number), json, type);
        return number;
    }

    private static JsonNode require(boolean usable, JsonNode json, Type type) {
        if (!usable) {
            throw new IllegalArgumentException(shown(json) + " is not a valid " + type);
        }
        return json;
    }

    private static String shown(JsonNode json) {
        String text = json.toString();
        return text.length() <= 40 ? text : text.substring(0, 40) + "…";
    }
}
