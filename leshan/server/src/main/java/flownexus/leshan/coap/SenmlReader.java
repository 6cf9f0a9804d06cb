package flownexus.leshan.coap;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.node.InvalidLwM2mPathException;
import org.eclipse.leshan.core.node.LwM2mPath;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.upokecenter.cbor.CBORException;
import com.upokecenter.cbor.CBORNumber;
import com.upokecenter.cbor.CBORObject;
import com.upokecenter.cbor.CBORType;

/**
 * Reads SenML packs (RFC 8428) record by record, so that what is wrong with one costs only that one, and of a pack that is
 * cut the whole records are there. One instance reads one pack.
 */
final class SenmlReader {

    /** More is nothing that a device gathers, and a few bytes each would fill the memory. */
    static final int MAX_RECORDS = 200_000;
    private static final JsonFactory JSON = JsonFactory.builder()
            // what a device's printf makes of a float
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();
    /** The CBOR labels of RFC 8428, table 4. */
    private static final Map<Integer, String> LABELS = Map.of(-6, "bs", -5, "bv", -3, "bt", -2, "bn", 0, "n", 2, "v", 3, "vs",
            4, "vb", 6, "t", 8, "vd");
    private static final List<String> VALUES = List.of("v", "vs", "vb", "vd", "vlo");
    /** In place of a value that is none that SenML knows. */
    private static final Object UNUSABLE = new Object();
    private static final int SELF_DESCRIBED_BYTES = 3;

    /**
     * One record with its name and time resolved (RFC 8428, 4.6).
     *
     * @param seconds as sent; null if there is no time
     * @param value Boolean, Number, String, byte[] or {@link ValueTypes.LinkText}
     */
    record Entry(LwM2mPath path, BigDecimal seconds, Object value) {
    }

    private final String prefix;
    private final Problems problems;
    private final List<Entry> entries = new ArrayList<>();
    private final Map<String, LwM2mPath> paths = new HashMap<>();
    private final Map<String, String> noPaths = new HashMap<>();
    private String baseName = "";
    private BigDecimal baseTime;
    private Number baseValue;
    /** Why the base fields are of no use; null if they are. */
    private String badBase;
    private int records;

    /**
     * @param rootPath that names are below
     * @param problems where a line goes for all that is not understood
     */
    SenmlReader(String rootPath, Problems problems) {
        String root = rootPath == null ? "" : rootPath;
        this.prefix = root.endsWith("/") ? root.substring(0, root.length() - 1) : root;
        this.problems = problems;
    }

    /** The records of a pack in JSON, in their order. */
    List<Entry> readJson(byte[] payload) {
        try (JsonParser json = JSON.createParser(payload)) {
            if (json.nextToken() != JsonToken.START_ARRAY) {
                problems.add("not SenML: an array is expected");
                return entries;
            }
            while (json.nextToken() != JsonToken.END_ARRAY) {
                if (json.currentToken() == null) {
                    problems.add("the pack is cut short after record %d".formatted(records));
                    return entries;
                }
                if (!anotherOne()) {
                    return entries;
                }
                if (json.currentToken() != JsonToken.START_OBJECT) {
                    json.skipChildren();
                    problem("it is no object");
                    continue;
                }
                take(jsonFields(json));
            }
            if (json.nextToken() != null) {
                problems.add("there is something after the pack");
            }
        } catch (IOException e) {
            problems.add("not SenML in JSON after record %d: %s".formatted(records, reason(e)));
        }
        return entries;
    }

    /** The records of a pack in CBOR, in their order. */
    List<Entry> readCbor(byte[] payload) {
        ByteArrayInputStream cbor = new ByteArrayInputStream(payload);
        long announced = arrayLength(cbor, payload);
        if (announced < -1) {
            problems.add("not SenML: an array is expected");
            return entries;
        }
        try {
            for (long index = 0; announced < 0 ? !isBreak(cbor) : index < announced; index++) {
                if (!anotherOne()) {
                    return entries;
                }
                CBORObject item = CBORObject.Read(cbor);
                if (item.getType() != CBORType.Map) {
                    problem("it is no map");
                    continue;
                }
                take(cborFields(item));
            }
            if (cbor.available() > 0) {
                problems.add("there is something after the pack");
            }
        } catch (CBORException e) {
            problems.add("not SenML in CBOR after record %d: %s".formatted(Math.max(0, records - 1), reason(e)));
        }
        return entries;
    }

    private boolean anotherOne() {
        if (++records > MAX_RECORDS) {
            // told as a whole: a part of it would look like all of it
            entries.clear();
            problems.clear();
            problems.add("more than %d records".formatted(MAX_RECORDS));
            return false;
        }
        return true;
    }

    private static String reason(Exception e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }

    // -- JSON

    private static Map<String, Object> jsonFields(JsonParser json) throws IOException {
        Map<String, Object> fields = new HashMap<>();
        while (json.nextToken() != JsonToken.END_OBJECT) {
            String label = json.currentName();
            Object value = jsonValue(json, json.nextToken());
            if (fields.put(label, value) != null) {
                fields.put(label, UNUSABLE);
            }
        }
        return fields;
    }

    private static Object jsonValue(JsonParser json, JsonToken token) throws IOException {
        switch (token) {
        case VALUE_STRING:
            return json.getText();
        case VALUE_TRUE:
            return true;
        case VALUE_FALSE:
            return false;
        case VALUE_NUMBER_INT:
            return json.getNumberValue();
        case VALUE_NUMBER_FLOAT:
            if (json.isNaN()) {
                return json.getDoubleValue();
            }
            BigDecimal number = json.getDecimalValue();
            return PayloadGuard.isUsable(number) ? number : UNUSABLE;
        default:
            json.skipChildren();
            return UNUSABLE;
        }
    }

    // -- CBOR

    /** Reads the head of an array: how many items it has; -1 if that is not said, -2 if it is none. */
    private static long arrayLength(ByteArrayInputStream cbor, byte[] payload) {
        if (payload.length > SELF_DESCRIBED_BYTES && (payload[0] & 0xff) == 0xd9 && (payload[1] & 0xff) == 0xd9
                && (payload[2] & 0xff) == 0xf7) {
            cbor.skip(SELF_DESCRIBED_BYTES);
        }
        int head = cbor.read();
        if (head < 0 || head >> 5 != 4) {
            return -2;
        }
        int detail = head & 31;
        if (detail < 24) {
            return detail;
        }
        if (detail == 31) {
            return -1;
        }
        int bytes = detail > 27 ? 0 : 1 << detail - 24;
        if (bytes == 0 || cbor.available() < bytes) {
            return -2;
        }
        BigInteger length = BigInteger.ZERO;
        for (int index = 0; index < bytes; index++) {
            length = length.shiftLeft(8).or(BigInteger.valueOf(cbor.read()));
        }
        return length.min(BigInteger.valueOf(Long.MAX_VALUE)).longValue();
    }

    private static boolean isBreak(ByteArrayInputStream cbor) {
        cbor.mark(1);
        if (cbor.read() == 0xff) {
            return true;
        }
        cbor.reset();
        return false;
    }

    private static Map<String, Object> cborFields(CBORObject item) {
        Map<String, Object> fields = new HashMap<>();
        for (Map.Entry<CBORObject, CBORObject> entry : item.getEntries()) {
            CBORObject key = entry.getKey();
            String label = null;
            if (key.getType() == CBORType.TextString) {
                label = key.AsString();
            } else if (key.getType() == CBORType.Integer && key.CanValueFitInInt32()) {
                label = LABELS.get(key.AsInt32Value());
            }
            if (label != null) {
                Object value = PayloadGuard.isUsable(entry.getValue()) ? cborValue(entry.getValue()) : null;
                if (fields.put(label, value == null ? UNUSABLE : value) != null) {
                    fields.put(label, UNUSABLE);
                }
            }
        }
        return fields;
    }

    /** As what Java has for it; null if that is nothing that SenML knows. The item must have been found usable. */
    static Object cborValue(CBORObject item) {
        if (item.isNumber()) {
            CBORNumber number = item.AsNumber();
            return switch (number.getKind()) {
            case Integer, EInteger -> number.CanFitInInt64() ? (Object) number.ToInt64Unchecked()
                    : item.ToObject(BigInteger.class);
            case Double -> (Object) item.AsDoubleValue();
            case EDecimal, EFloat -> number.IsNaN() || number.IsInfinity() ? (Object) item.AsDoubleValue()
                    : item.ToObject(BigDecimal.class);
            default -> null;
            };
        }
        return switch (item.getType()) {
        case Boolean -> (Object) item.AsBoolean();
        case TextString -> item.AsString();
        case ByteString -> item.GetByteString();
        default -> null;
        };
    }

    // -- both

    private void problem(String what) {
        problems.add("record %d: %s".formatted(records, what));
    }

    private void take(Map<String, Object> fields) {
        boolean bases = takeBases(fields);
        List<String> values = VALUES.stream().filter(fields::containsKey).toList();
        if (values.isEmpty() && bases && !fields.containsKey("n") && !fields.containsKey("t")) {
            return;
        }
        Object given = fields.getOrDefault("n", "");
        String name = given instanceof String text ? baseName + text : null;
        try {
            if (badBase != null) {
                throw new UnfitException(badBase);
            }
            if (name == null) {
                throw new UnfitException("its name is no text");
            }
            fields.keySet().stream().filter(label -> label.endsWith("_")).findFirst().ifPresent(label -> {
                // RFC 8428, 4.4: who does not understand it must not use the record
                throw new UnfitException("it must not be used without understanding its field " + label);
            });
            if (values.size() != 1) {
                throw new UnfitException(values.isEmpty() ? "it has no value" : "it has several values");
            }
            LwM2mPath path = path(name);
            BigDecimal seconds = seconds(fields);
            entries.add(new Entry(path, seconds, value(values.get(0), fields.get(values.get(0)))));
        } catch (RuntimeException e) {
            if (name == null || name.isEmpty()) {
                problem(e.getMessage());
            } else {
                problems.add("record '%s': %s".formatted(shortened(name), e.getMessage()));
            }
        }
    }

    private static String shortened(String name) {
        return name.length() <= 60 ? name : name.substring(0, 60) + "…";
    }

    /** Base fields hold for what follows, also where their own record is of no use. */
    private boolean takeBases(Map<String, Object> fields) {
        Object name = fields.get("bn");
        Object time = fields.get("bt");
        Object value = fields.get("bv");
        if (name == null && time == null && value == null) {
            return fields.containsKey("bs");
        }
        badBase = null;
        if (name instanceof String text) {
            baseName = text;
        } else if (name != null) {
            badBase = "the base name before it is no text";
        }
        if (time instanceof Number number) {
            try {
                baseTime = ValueTypes.decimal(number);
            } catch (IllegalArgumentException e) {
                badBase = "the base time before it: " + e.getMessage();
            }
        } else if (time != null) {
            badBase = "the base time before it is no number";
        }
        if (value instanceof Number number) {
            baseValue = number;
        } else if (value != null) {
            badBase = "the base value before it is no number";
        }
        return true;
    }

    private LwM2mPath path(String name) {
        LwM2mPath known = paths.get(name);
        if (known != null) {
            return known;
        }
        String error = noPaths.get(name);
        if (error == null) {
            try {
                LwM2mPath path = new LwM2mPath(name.startsWith(prefix) ? name.substring(prefix.length()) : name);
                if (path.isResource() || path.isResourceInstance()) {
                    paths.put(name, path);
                    return path;
                }
                error = "not the path of a resource";
            } catch (InvalidLwM2mPathException e) {
                error = e.getMessage();
            }
            noPaths.put(name, error);
        }
        throw new UnfitException(error);
    }

    private BigDecimal seconds(Map<String, Object> fields) {
        Object time = fields.get("t");
        if (time != null && !(time instanceof Number)) {
            throw new UnfitException("its time is no number");
        }
        BigDecimal seconds = baseTime;
        if (time != null) {
            BigDecimal own = ValueTypes.decimal((Number) time);
            seconds = baseTime == null ? own : baseTime.add(own);
        }
        if (seconds != null && seconds.abs().compareTo(ValueTypes.MAX_SECONDS) > 0) {
            throw new UnfitException("its time is out of range");
        }
        return seconds;
    }

    private Object value(String label, Object value) {
        switch (label) {
        case "v":
            if (value instanceof Number number) {
                return baseValue == null ? number : sum(baseValue, number);
            }
            break;
        case "vs":
            if (value instanceof String) {
                return value;
            }
            break;
        case "vb":
            if (value instanceof Boolean) {
                return value;
            }
            break;
        case "vlo":
            if (value instanceof String text) {
                return new ValueTypes.LinkText(text);
            }
            break;
        default:
            if (value instanceof byte[]) {
                return value;
            }
            if (value instanceof String text) {
                return ValueTypes.base64(text);
            }
            break;
        }
        throw new UnfitException("its %s is of no use".formatted(label));
    }

    private static Number sum(Number base, Number own) {
        if (base instanceof Double || own instanceof Double) {
            return base.doubleValue() + own.doubleValue();
        }
        BigDecimal sum = ValueTypes.decimal(base).add(ValueTypes.decimal(own));
        return base instanceof BigDecimal || own instanceof BigDecimal ? sum : sum.toBigIntegerExact();
    }
}
