package flownexus.leshan.coap;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.node.codec.LwM2mDecoder;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.tlv.Tlv;
import org.eclipse.leshan.core.tlv.TlvDecoder;
import org.eclipse.leshan.core.tlv.TlvException;
import org.eclipse.leshan.senml.SenMLDecoder;
import org.eclipse.leshan.senml.SenMLException;
import org.eclipse.leshan.senml.SenMLRecord;
import org.eclipse.leshan.senml.cbor.upokecenter.SenMLCborUpokecenterEncoderDecoder;
import org.eclipse.leshan.senml.json.jackson.SenMLJsonJacksonEncoderDecoder;

import com.upokecenter.cbor.CBORException;
import com.upokecenter.cbor.CBORObject;

/** Puts payloads into words for the trace: a line a value, with the names and units of the models. */
final class PayloadText {

    private static final int MAX_LINES = 100;
    private static final int MAX_OPAQUE_BYTES = 32;

    private final LwM2mDecoder decoder = new PayloadGuard();
    private final Map<Integer, SenMLDecoder> senml = Map.of(
            ContentFormat.SENML_JSON_CODE, new SenMLJsonJacksonEncoderDecoder(),
            ContentFormat.SENML_CBOR_CODE, new SenMLCborUpokecenterEncoderDecoder());

    /**
     * What a whole payload says; or why it says nothing.
     *
     * @param format null if the message names none
     * @param path what it is about; null if that is unknown
     * @param model the client's
     */
    String of(byte[] payload, ContentFormat format, LwM2mPath path, LwM2mModel model) {
        try {
            return join(lines(payload, format, path, model));
        } catch (CodecException | SenMLException | CBORException | TlvException e) {
            return "not decodable: " + String.valueOf(e.getMessage()).lines().findFirst().orElse("");
        } catch (RuntimeException e) {
            return "not decodable: " + e;
        }
    }

    private List<String> lines(byte[] payload, ContentFormat format, LwM2mPath path, LwM2mModel model)
            throws SenMLException, TlvException {
        if (format == null) {
            return List.of(plain(payload));
        }
        PayloadGuard.check(payload, format);
        switch (format.getCode()) {
        case ContentFormat.SENML_JSON_CODE, ContentFormat.SENML_CBOR_CODE:
            try {
                return records(senml.get(format.getCode()).fromSenML(payload).getRecords(), model);
            } catch (SenMLException e) {
                return paths(payload, format, e);
            }
        case ContentFormat.TLV_CODE, ContentFormat.OLD_TLV_CODE:
            return tlv(payload, format, path, model);
        case ContentFormat.CBOR_CODE:
            return List.of(named(path, model, CBORObject.DecodeFromBytes(payload).toString()));
        case ContentFormat.TEXT_CODE:
            return List.of(named(path, model, plain(payload)));
        case ContentFormat.OPAQUE_CODE:
            return List.of(named(path, model, opaque(payload)));
        default:
            return List.of(plain(payload));
        }
    }

    private static String join(List<String> lines) {
        return lines.size() <= MAX_LINES ? String.join("\n", lines)
                : String.join("\n", lines.subList(0, MAX_LINES)) + "\n… " + (lines.size() - MAX_LINES) + " more";
    }

    /** The bytes as text if they are any. */
    private static String plain(byte[] payload) {
        try {
            String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(payload)).toString();
            return text.chars().anyMatch(each -> Character.isISOControl(each) && !Character.isWhitespace(each))
                    ? opaque(payload)
                    : text;
        } catch (CharacterCodingException e) {
            return opaque(payload);
        }
    }

    private static String opaque(byte[] bytes) {
        return bytes.length <= MAX_OPAQUE_BYTES ? "0x" + HexFormat.of().formatHex(bytes)
                : "0x" + HexFormat.of().formatHex(bytes, 0, MAX_OPAQUE_BYTES) + "… (" + bytes.length + " bytes)";
    }

    private static List<String> records(List<SenMLRecord> records, LwM2mModel model) {
        List<String> lines = new ArrayList<>();
        String baseName = "";
        BigDecimal baseTime = null;
        for (SenMLRecord record : records) {
            baseName = record.getBaseName() == null ? baseName : record.getBaseName();
            baseTime = record.getBaseTime() == null ? baseTime : record.getBaseTime();
            String name = record.getName() == null ? baseName : baseName + record.getName();
            BigDecimal time = record.getTime() == null ? baseTime
                    : baseTime == null ? record.getTime() : baseTime.add(record.getTime());
            String line = record.getType() == null ? name : named(path(name), name, model, value(record));
            lines.add(time == null ? line : line + " (t=" + time.toPlainString() + ")");
        }
        return lines;
    }

    /** What a composite read asks for: records without values. */
    private List<String> paths(byte[] payload, ContentFormat format, SenMLException otherwise) throws SenMLException {
        try {
            return decoder.decodePaths(payload, format, null).stream().map(LwM2mPath::toString).toList();
        } catch (CodecException e) {
            throw otherwise;
        }
    }

    private static String value(SenMLRecord record) {
        if (record.getNumberValue() != null) {
            return record.getNumberValue().toString();
        }
        if (record.getBooleanValue() != null) {
            return record.getBooleanValue().toString();
        }
        if (record.getStringValue() != null) {
            return "\"" + record.getStringValue() + "\"";
        }
        return record.getOpaqueValue() != null ? opaque(record.getOpaqueValue())
                : String.valueOf(record.getObjectLinkValue());
    }

    private static LwM2mPath path(String text) {
        try {
            return new LwM2mPath(text);
        } catch (RuntimeException e) {
            return null;
        }
    }

    private List<String> tlv(byte[] payload, ContentFormat format, LwM2mPath path, LwM2mModel model)
            throws TlvException {
        List<String> lines = new ArrayList<>();
        if (path != null && model != null) {
            try {
                add(lines, path, decoder.decode(payload, format, null, path, model), model);
                return lines;
            } catch (CodecException e) {
                // not what the model says: below, what it is by itself
                lines.clear();
            }
        }
        add(lines, "", TlvDecoder.decode(ByteBuffer.wrap(payload)));
        return lines;
    }

    private static void add(List<String> lines, String prefix, Tlv[] entries) {
        for (Tlv entry : entries) {
            String name = prefix + "/" + entry.getIdentifier();
            if (entry.getChildren() != null) {
                add(lines, name, entry.getChildren());
            } else {
                lines.add(name + " = " + opaque(entry.getValue()));
            }
        }
    }

    private static void add(List<String> lines, LwM2mPath path, LwM2mNode node, LwM2mModel model) {
        if (node instanceof LwM2mObject object) {
            object.getInstances().forEach((id, each) -> add(lines, path.append(id), each, model));
        } else if (node instanceof LwM2mObjectInstance instance) {
            LwM2mPath own = path.isObject() ? path.append(instance.getId()) : path;
            instance.getResources().forEach((id, each) -> add(lines, own.append(id), each, model));
        } else if (node instanceof LwM2mResource resource && resource.isMultiInstances()) {
            resource.getInstances().forEach((id, each) -> add(lines, path.append(id), each, model));
        } else if (node instanceof LwM2mResource resource) {
            lines.add(named(path, model, value(resource.getValue())));
        } else if (node instanceof LwM2mResourceInstance instance) {
            lines.add(named(path, model, value(instance.getValue())));
        }
    }

    private static String value(Object value) {
        if (value instanceof byte[] bytes) {
            return opaque(bytes);
        }
        if (value instanceof Date date) {
            return date.toInstant().toString();
        }
        if (value instanceof ObjectLink link) {
            return link.encodeToString();
        }
        return value instanceof String text ? "\"" + text + "\"" : String.valueOf(value);
    }

    private static String named(LwM2mPath path, LwM2mModel model, String value) {
        return path == null ? value : named(path, path.toString(), model, value);
    }

    private static String named(LwM2mPath path, String name, LwM2mModel model, String value) {
        ResourceModel resource = path == null || model == null || path.getResourceId() == null ? null
                : model.getResourceModel(path.getObjectId(), path.getResourceId());
        if (resource == null) {
            return name + " = " + value;
        }
        String units = resource.units == null || resource.units.isBlank() ? "" : " " + resource.units.strip();
        return name + " " + resource.name + " = " + value + units;
    }
}
