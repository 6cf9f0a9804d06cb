package flownexus.leshan.coap;

import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.request.ContentFormat;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.upokecenter.cbor.CBORException;
import com.upokecenter.cbor.CBORObject;
import com.upokecenter.cbor.CBORType;

/**
 * Leshan's decoder behind a look at the numbers: one with an exponent of many digits (a CBOR decimal fraction or bigfloat,
 * {@code 1e100000000} in JSON) is a few bytes long and takes a protocol thread hours to calculate with.
 */
final class PayloadGuard extends DefaultLwM2mDecoder {

    /** Far beyond what a double holds, far below what costs time. */
    private static final int MAX_EXPONENT = 9999;
    private static final int MAX_EXPONENT_DIGITS = 4;
    private static final int MAX_BIGNUM_BYTES = 256;
    /** An object instance, a resource, its instances. */
    private static final int MAX_TLV_DEPTH = 3;
    /** As lenient as the decoder's own: what that accepts must be looked at to its end. */
    private static final JsonFactory JSON = new JsonFactory();

    PayloadGuard() {
        super(true);
    }

    /** @throws CodecException if a payload holds a number that nobody can have meant */
    static void check(byte[] payload, ContentFormat format) {
        if (payload == null || format == null) {
            return;
        }
        boolean usable = switch (format.getCode()) {
        case ContentFormat.CBOR_CODE, ContentFormat.SENML_CBOR_CODE -> !mayHaveTags(payload) || usableCbor(payload);
        case ContentFormat.SENML_JSON_CODE, ContentFormat.JSON_CODE, ContentFormat.OLD_JSON_CODE ->
            !mayHaveLongExponent(payload) || usableJson(payload);
        default -> true;
        };
        if (!usable) {
            throw new CodecException("a number with an exponent or a length beyond all sense");
        }
        if ((format.getCode() == ContentFormat.TLV_CODE || format.getCode() == ContentFormat.OLD_TLV_CODE)
                && isDeep(payload)) {
            throw new CodecException("TLV entries within entries beyond all sense");
        }
    }

    /**
     * Whether TLV entries are in each other deeper than there are kinds of them: the decoder goes into each, and an error makes
     * it write down the whole payload once a level.
     */
    private static boolean isDeep(byte[] tlv) {
        int[] ends = new int[MAX_TLV_DEPTH];
        int depth = 0;
        int at = 0;
        while (at < tlv.length) {
            while (depth > 0 && at >= ends[depth - 1]) {
                depth--;
            }
            int type = tlv[at] & 0xff;
            int idBytes = (type & 0x20) == 0 ? 1 : 2;
            int lengthBytes = type >> 3 & 3;
            int content = at + 1 + idBytes + lengthBytes;
            if (content > tlv.length) {
                return false;
            }
            int length = type & 7;
            if (lengthBytes > 0) {
                length = 0;
                for (int index = content - lengthBytes; index < content; index++) {
                    length = length << 8 | tlv[index] & 0xff;
                }
            }
            boolean holdsEntries = (type & 0x40) == 0;
            if (holdsEntries && length > 0) {
                if (depth == MAX_TLV_DEPTH) {
                    return true;
                }
                ends[depth++] = content + length;
                at = content;
            } else {
                at = content + length;
            }
        }
        return false;
    }

    private static boolean mayHaveTags(byte[] cbor) {
        for (byte each : cbor) {
            if ((each & 0xe0) == 0xc0) {
                return true;
            }
        }
        return false;
    }

    private static boolean usableCbor(byte[] cbor) {
        try {
            return usable(CBORObject.DecodeFromBytes(cbor));
        } catch (CBORException e) {
            return true;  // the decoder says better what is wrong
        }
    }

    /** Whether a number can be calculated with. */
    static boolean isUsable(BigDecimal number) {
        return Math.abs((long) number.scale()) <= MAX_EXPONENT;
    }

    /** Whether all numbers in an item can be calculated with. */
    static boolean isUsable(CBORObject item) {
        return usable(item);
    }

    private static boolean usable(CBORObject item) {
        if (item.isTagged()) {
            CBORObject inner = item.Untag();
            if (inner.getType() == CBORType.ByteString) {
                return inner.GetByteString().length <= MAX_BIGNUM_BYTES || !item.isNumber();
            }
            if (inner.getType() == CBORType.Array && inner.size() > 0 && item.isNumber()) {
                CBORObject exponent = inner.get(0);
                return exponent.isNumber() && exponent.AsNumber().CanFitInInt32()
                        && Math.abs((long) exponent.AsInt32()) <= MAX_EXPONENT
                        && inner.getValues().stream().allMatch(PayloadGuard::usable);
            }
            return usable(inner);
        }
        if (item.getType() == CBORType.Array || item.getType() == CBORType.Map) {
            return item.getValues().stream().allMatch(PayloadGuard::usable);
        }
        return true;
    }

    private static boolean mayHaveLongExponent(byte[] json) {
        for (int index = 0; index < json.length; index++) {
            if ((json[index] | 0x20) == 'e' && exponentDigits(json, index) > MAX_EXPONENT_DIGITS) {
                return true;
            }
        }
        return false;
    }

    private static int exponentDigits(byte[] json, int exponentMark) {
        int from = exponentMark + 1;
        if (from < json.length && (json[from] == '+' || json[from] == '-')) {
            from++;
        }
        int to = from;
        while (to < json.length && json[to] >= '0' && json[to] <= '9') {
            to++;
        }
        return to - from;
    }

    /** What looked like a long exponent may be part of a text. */
    private static boolean usableJson(byte[] json) {
        try (JsonParser parser = JSON.createParser(json)) {
            for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
                if (token == JsonToken.VALUE_NUMBER_FLOAT
                        && mayHaveLongExponent(parser.getText().getBytes(StandardCharsets.US_ASCII))) {
                    return false;
                }
            }
            return true;
        } catch (IOException e) {
            return true;  // the decoder says better what is wrong
        }
    }

    @Override
    public LwM2mNode decode(byte[] content, ContentFormat format, String rootPath, LwM2mPath path, LwM2mModel model)
            throws CodecException {
        check(content, format);
        return super.decode(content, format, rootPath, path, model);
    }

    @Override
    public <T extends LwM2mNode> T decode(byte[] content, ContentFormat format, String rootPath, LwM2mPath path,
            LwM2mModel model, Class<T> nodeClass) throws CodecException {
        check(content, format);
        return super.decode(content, format, rootPath, path, model, nodeClass);
    }

    @Override
    public Map<LwM2mPath, LwM2mNode> decodeNodes(byte[] content, ContentFormat format, String rootPath,
            List<LwM2mPath> paths, LwM2mModel model) throws CodecException {
        check(content, format);
        return super.decodeNodes(content, format, rootPath, paths, model);
    }

    @Override
    public List<TimestampedLwM2mNode> decodeTimestampedData(byte[] content, ContentFormat format, String rootPath,
            LwM2mPath path, LwM2mModel model) throws CodecException {
        check(content, format);
        return super.decodeTimestampedData(content, format, rootPath, path, model);
    }

    @Override
    public TimestampedLwM2mNodes decodeTimestampedNodes(byte[] content, ContentFormat format, String rootPath,
            List<LwM2mPath> paths, LwM2mModel model) throws CodecException {
        check(content, format);
        return super.decodeTimestampedNodes(content, format, rootPath, paths, model);
    }
}
