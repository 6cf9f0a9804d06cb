package flownexus.leshan.coap;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Date;
import java.util.regex.Pattern;

import org.eclipse.leshan.core.link.LinkParseException;
import org.eclipse.leshan.core.link.lwm2m.DefaultLwM2mLinkParser;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLinkParser;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.util.datatype.ULong;

/**
 * Values as devices send them, as values of the types that the models say (LwM2M Core 1.1, appendix C). A value that does
 * not fit its type is refused with a line that says why, never changed.
 */
final class ValueTypes {

    /** Beyond this (the year 300,000) it is no time that anybody can keep. */
    static final BigDecimal MAX_SECONDS = new BigDecimal("1e13");
    private static final BigDecimal MILLIS = BigDecimal.valueOf(1000);
    /** As {@link Double#parseDouble} has it, but without Java's own suffixes and hexadecimal. */
    private static final Pattern FLOAT = Pattern
            .compile("[+-]?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([eE][+-]?[0-9]+)?|NaN|[+-]?Infinity");
    private static final LwM2mLinkParser LINKS = new DefaultLwM2mLinkParser();

    /** An object link as a text, such as {@code 3:0}, where the format tells it from a string. */
    record LinkText(String text) {
    }

    private ValueTypes() {
    }

    /** The type that the model says; null if it knows none. */
    static Type of(LwM2mPath path, LwM2mModel model) {
        ResourceModel resource = model.getResourceModel(path.getObjectId(), path.getResourceId());
        return resource == null || resource.type == null || resource.type == Type.NONE ? null : resource.type;
    }

    static boolean isMultiple(LwM2mPath path, LwM2mModel model) {
        ResourceModel resource = model.getResourceModel(path.getObjectId(), path.getResourceId());
        return resource != null && Boolean.TRUE.equals(resource.multiple);
    }

    /** Why the type of that value is unknown, and what a user can do about it. */
    static String unknown(LwM2mPath path, LwM2mModel model) {
        ObjectModel object = model.getObjectModel(path.getObjectId());
        return object == null
                ? "object %d has no model: its types are unknown; add its definition under Settings → Object models"
                        .formatted(path.getObjectId())
                : "the model of object %d (version %s) has no resource %d: its type is unknown; add a definition that has it under Settings → Object models"
                        .formatted(path.getObjectId(), object.version, path.getResourceId());
    }

    /** The type that a value has by itself, where no model says one. */
    static Type own(Object value) {
        if (value instanceof Boolean) {
            return Type.BOOLEAN;
        }
        if (value instanceof String) {
            return Type.STRING;
        }
        if (value instanceof byte[]) {
            return Type.OPAQUE;
        }
        if (value instanceof LinkText) {
            return Type.OBJLNK;
        }
        if (value instanceof Date) {
            return Type.TIME;
        }
        if (value instanceof Double || value instanceof BigDecimal) {
            return Type.FLOAT;
        }
        BigInteger whole = whole((Number) value);
        return whole.signum() < 0 || whole.bitLength() <= 63 ? Type.INTEGER : Type.UNSIGNED_INTEGER;
    }

    /**
     * A value that brought a type along (SenML, CBOR) as one of the type that is expected.
     *
     * @param value Boolean, Number, String, byte[], Date or {@link LinkText}
     * @throws IllegalArgumentException if that cannot be
     */
    static Object converted(Type type, Object value) {
        switch (type) {
        case INTEGER:
            if (value instanceof Number number) {
                return integer(whole(number));
            }
            break;
        case UNSIGNED_INTEGER:
            if (value instanceof Number number) {
                return unsigned(whole(number));
            }
            break;
        case FLOAT:
            if (value instanceof Number number) {
                return real(number);
            }
            break;
        case BOOLEAN:
            if (value instanceof Boolean) {
                return value;
            }
            break;
        case STRING:
            if (value instanceof String text) {
                return unicode(text);
            }
            break;
        case OPAQUE:
            if (value instanceof byte[]) {
                return value;
            }
            break;
        case TIME:
            if (value instanceof Date) {
                return value;
            }
            if (value instanceof Number number) {
                return time(decimal(number));
            }
            break;
        case OBJLNK:
            if (value instanceof LinkText link) {
                return ObjectLink.decodeFromString(link.text);
            }
            break;
        case CORELINK:
            if (value instanceof String text) {
                return links(unicode(text).getBytes(StandardCharsets.UTF_8));
            }
            break;
        default:
            break;
        }
        throw new UnfitException("%s where %s is expected".formatted(kind(value), type));
    }

    /** The text of a plain-text payload (LwM2M Core 1.1, 7.4.1) as a value of that type. */
    static Object ofText(Type type, byte[] payload) {
        if (type == Type.STRING) {
            return utf8(payload);
        }
        // a line end after a number is what a device's printf leaves
        String text = utf8(payload).strip();
        switch (type) {
        case INTEGER:
            return integer(whole(text));
        case UNSIGNED_INTEGER:
            return unsigned(whole(text));
        case FLOAT:
            if (!FLOAT.matcher(text).matches()) {
                throw new UnfitException("'%s' is no number".formatted(text));
            }
            double number = Double.parseDouble(text);
            if (Double.isInfinite(number) && !text.endsWith("Infinity")) {
                throw new UnfitException(text + " is too large for FLOAT");
            }
            return number;
        case BOOLEAN:
            if (!text.equals("0") && !text.equals("1")) {
                throw new UnfitException("'%s' is no boolean, which is 0 or 1".formatted(text));
            }
            return text.equals("1");
        case TIME:
            return time(new BigDecimal(whole(text)));
        case OPAQUE:
            return base64(text);
        case OBJLNK:
            return ObjectLink.decodeFromString(text);
        case CORELINK:
            return links(payload);
        default:
            throw new UnfitException("a value where %s is expected".formatted(type));
        }
    }

    /** The octets of a TLV (LwM2M Core 1.1, 7.4.5 and appendix C) as a value of that type. */
    static Object ofOctets(Type type, byte[] octets) {
        switch (type) {
        case STRING:
            return utf8(octets);
        case INTEGER:
            length(octets, 1, 8, type);
            return new BigInteger(octets).longValue();
        case UNSIGNED_INTEGER:
            length(octets, 1, 8, type);
            return ULong.valueOf(new BigInteger(1, octets));
        case FLOAT:
            if (octets.length == 4) {
                return (double) ByteBuffer.wrap(octets).getFloat();
            }
            length(octets, 8, 8, type);
            return ByteBuffer.wrap(octets).getDouble();
        case BOOLEAN:
            length(octets, 1, 1, type);
            if (octets[0] != 0 && octets[0] != 1) {
                throw new UnfitException("%d is no BOOLEAN, which is 0 or 1".formatted(octets[0]));
            }
            return octets[0] == 1;
        case TIME:
            length(octets, 1, 8, type);
            return time(new BigDecimal(new BigInteger(octets)));
        case OPAQUE:
            return octets;
        case OBJLNK:
            length(octets, 4, 4, type);
            ByteBuffer ids = ByteBuffer.wrap(octets);
            return new ObjectLink(ids.getShort() & 0xffff, ids.getShort() & 0xffff);
        case CORELINK:
            return links(octets);
        default:
            throw new UnfitException("a value where %s is expected".formatted(type));
        }
    }

    /** Base64 in either alphabet, padded or not: devices disagree on which RFC 8428 means. */
    static byte[] base64(String text) {
        try {
            return Base64.getUrlDecoder().decode(text.replace('+', '-').replace('/', '_'));
        } catch (IllegalArgumentException e) {
            throw new UnfitException("the octets are not in base64");
        }
    }

    /** @throws IllegalArgumentException if it is neither, or not a finite one */
    static BigDecimal decimal(Number number) {
        if (number instanceof BigDecimal decimal) {
            return decimal;
        }
        if (number instanceof BigInteger integer) {
            return new BigDecimal(integer);
        }
        if (number instanceof Double real) {
            if (!Double.isFinite(real)) {
                throw new UnfitException(real + " is no finite number");
            }
            return BigDecimal.valueOf(real);
        }
        return BigDecimal.valueOf(number.longValue());
    }

    /** The text in UTF-8; a wrong octet is not replaced, because then it would be lost. */
    static String utf8(byte[] octets) {
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(octets)).toString();
        } catch (CharacterCodingException e) {
            throw new UnfitException("the text is not UTF-8");
        }
    }

    static Date time(BigDecimal seconds) {
        if (seconds.abs().compareTo(MAX_SECONDS) > 0) {
            throw new UnfitException("%s is out of range for TIME".formatted(shortened(seconds)));
        }
        return new Date(seconds.multiply(MILLIS).setScale(0, RoundingMode.HALF_UP).longValueExact());
    }

    private static String unicode(String text) {
        for (int index = 0; index < text.length(); index++) {
            char each = text.charAt(index);
            if (Character.isSurrogate(each)) {
                if (!Character.isHighSurrogate(each) || index + 1 == text.length()
                        || !Character.isLowSurrogate(text.charAt(index + 1))) {
                    throw new UnfitException("the text is not valid Unicode");
                }
                index++;
            }
        }
        return text;
    }

    private static BigInteger whole(String text) {
        // BigInteger takes the digits of any script
        if (!text.matches("[+-]?[0-9]{1,40}")) {
            throw new UnfitException("'%s' is no whole number".formatted(text));
        }
        return new BigInteger(text);
    }

    private static BigInteger whole(Number number) {
        if (number instanceof BigInteger integer) {
            return integer;
        }
        if (number instanceof Double || number instanceof BigDecimal) {
            try {
                return decimal(number).toBigIntegerExact();
            } catch (ArithmeticException e) {
                throw new UnfitException(number + " is no whole number");
            }
        }
        return BigInteger.valueOf(number.longValue());
    }

    private static Long integer(BigInteger number) {
        if (number.bitLength() > 63) {
            throw new UnfitException("%s has more than 64 bits".formatted(shortened(new BigDecimal(number))));
        }
        return number.longValue();
    }

    private static ULong unsigned(BigInteger number) {
        if (number.signum() < 0 || number.bitLength() > 64) {
            throw new UnfitException(
                    "%s is no unsigned number of 64 bits".formatted(shortened(new BigDecimal(number))));
        }
        return ULong.valueOf(number);
    }

    private static Double real(Number number) {
        double real = number.doubleValue();
        if (Double.isInfinite(real) && !(number instanceof Double)) {
            throw new UnfitException("%s is too large for FLOAT".formatted(shortened(decimal(number))));
        }
        return real;
    }

    private static String shortened(BigDecimal number) {
        return number.precision() <= 30 ? number.toString() : "a number of %d digits".formatted(number.precision());
    }

    private static Object links(byte[] text) {
        try {
            return LINKS.parseCoreLinkFormat(text);
        } catch (LinkParseException e) {
            throw new UnfitException("no links: " + e.getMessage());
        }
    }

    private static void length(byte[] octets, int least, int most, Type type) {
        if (octets.length < least || octets.length > most) {
            throw new UnfitException("%d octets are no %s".formatted(octets.length, type));
        }
    }

    private static String kind(Object value) {
        if (value instanceof String text) {
            return text.length() <= 40 ? "'" + text + "'" : "a text";
        }
        if (value instanceof Number number) {
            return Double.valueOf(Double.NaN).equals(number) ? "NaN" : "a number";
        }
        if (value instanceof Boolean flag) {
            return flag.toString();
        }
        if (value instanceof byte[] octets) {
            return octets.length == 1 ? "1 octet" : octets.length + " octets";
        }
        return value instanceof LinkText ? "an object link" : "a time";
    }
}
