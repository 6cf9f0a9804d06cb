package flownexus.leshan.coap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.model.ResourceModel.Operations;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.junit.jupiter.api.Test;

/** Notifications in the formats that hold no times: TLV, text, octets and CBOR. */
class PlainFormatsTest {

    private static final List<Type> TYPES = List.of(Type.STRING, Type.INTEGER, Type.UNSIGNED_INTEGER, Type.FLOAT,
            Type.BOOLEAN, Type.OPAQUE, Type.TIME, Type.OBJLNK);
    /** Object 40000: the resource with a type's place in the list has that type; 10 and above likewise, with instances. */
    private static final LwM2mModel MODEL = model();
    private static final long RECEIVED = 1_800_000_000_000L;

    private final SampleDecoder decoder = new SampleDecoder();

    private static LwM2mModel model() {
        Map<Integer, ResourceModel> resources = TYPES.stream().flatMap(type -> List.of(resource(type, false),
                resource(type, true)).stream()).collect(Collectors.toMap(each -> each.id, Function.identity()));
        return new StaticModel(new ObjectModel(40000, "Test", "", "1.0", true, false, resources.values()));
    }

    private static ResourceModel resource(Type type, boolean multiple) {
        int id = TYPES.indexOf(type) + (multiple ? 10 : 0);
        return new ResourceModel(id, type.name(), Operations.RW, multiple, false, type, "", "", "");
    }

    private static LwM2mPath path(Type type) {
        return new LwM2mPath(40000, 0, TYPES.indexOf(type));
    }

    private SampleDecoder.Decoded decode(ContentFormat format, byte[] payload, String path) {
        return decoder.decode(payload, format, "/", List.of(new LwM2mPath(path)), MODEL, RECEIVED);
    }

    private SampleDecoder.Decoded tlv(String hex, String path) {
        return decode(ContentFormat.TLV, HexFormat.of().parseHex(hex), path);
    }

    private LwM2mNode node(SampleDecoder.Decoded decoded, String path) {
        return decoded.samples().get(0).nodes().get(new LwM2mPath(path));
    }

    private Object value(ContentFormat format, byte[] payload, Type type) {
        SampleDecoder.Decoded decoded = decode(format, payload, path(type).toString());
        LwM2mResource resource = (LwM2mResource) node(decoded, path(type).toString());
        assertEquals(type, resource.getType());
        assertTrue(decoded.isComplete());
        return resource.getValue();
    }

    private void refused(ContentFormat format, byte[] payload, Type type) {
        CodecException refused = assertThrows(CodecException.class, () -> value(format, payload, type),
                type + " " + HexFormat.of().formatHex(payload));
        assertTrue(refused.getMessage().startsWith(path(type) + ": "), refused.getMessage());
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] hex(String text) {
        return HexFormat.of().parseHex(text);
    }

    @Test
    void readsText() {
        assertEquals("", value(ContentFormat.TEXT, new byte[0], Type.STRING));
        assertEquals("°C", value(ContentFormat.TEXT, utf8("°C"), Type.STRING));
        assertEquals(" a\n", value(ContentFormat.TEXT, utf8(" a\n"), Type.STRING));
        assertEquals(-5L, value(ContentFormat.TEXT, utf8("-5\n"), Type.INTEGER));
        assertEquals(ULong.valueOf("18446744073709551615"),
                value(ContentFormat.TEXT, utf8("18446744073709551615"), Type.UNSIGNED_INTEGER));
        assertEquals(1.5e-3, value(ContentFormat.TEXT, utf8("1.5e-3"), Type.FLOAT));
        assertEquals(Double.NaN, value(ContentFormat.TEXT, utf8("NaN"), Type.FLOAT));
        assertEquals(true, value(ContentFormat.TEXT, utf8("1"), Type.BOOLEAN));
        assertEquals(new Date(-1000), value(ContentFormat.TEXT, utf8("-1"), Type.TIME));
        assertArrayEquals(new byte[] { 1, 2 }, (byte[]) value(ContentFormat.TEXT, utf8("AQI="), Type.OPAQUE));
        assertEquals(new ObjectLink(3, 1), value(ContentFormat.TEXT, utf8("3:1"), Type.OBJLNK));
    }

    @Test
    void refusesTextThatIsNotOfItsType() {
        refused(ContentFormat.TEXT, hex("ff41"), Type.STRING);
        for (String text : List.of("", "1.5", "99999999999999999999", "٣", "%s%n")) {
            refused(ContentFormat.TEXT, utf8(text), Type.INTEGER);
        }
        for (String text : List.of("", "warm", "5f", "0x1p3", "1e400")) {
            refused(ContentFormat.TEXT, utf8(text), Type.FLOAT);
        }
        refused(ContentFormat.TEXT, utf8("true"), Type.BOOLEAN);
        refused(ContentFormat.TEXT, utf8("9223372036854775807"), Type.TIME);
        refused(ContentFormat.TEXT, utf8("-1"), Type.UNSIGNED_INTEGER);
        refused(ContentFormat.TEXT, utf8("one"), Type.OBJLNK);
        assertThrows(CodecException.class, () -> decode(ContentFormat.TEXT, utf8("1"), "/40000/0"));
    }

    @Test
    void readsOneCborItem() {
        assertEquals("a", value(ContentFormat.CBOR, hex("6161"), Type.STRING));
        assertEquals(-5L, value(ContentFormat.CBOR, hex("24"), Type.INTEGER));
        assertEquals(21.0, value(ContentFormat.CBOR, hex("15"), Type.FLOAT), "a whole number is a FLOAT too");
        assertEquals(Double.POSITIVE_INFINITY, value(ContentFormat.CBOR, hex("f97c00"), Type.FLOAT));
        assertEquals(21.38, value(ContentFormat.CBOR, hex("c4822119085a"), Type.FLOAT));
        assertEquals(new Date(1_700_000_000_000L), value(ContentFormat.CBOR, hex("1a6553f100"), Type.TIME));
        assertEquals(new Date(1_700_000_000_000L), value(ContentFormat.CBOR, hex("c11a6553f100"), Type.TIME));
        assertEquals(new Date(1_700_000_000_000L),
                value(ContentFormat.CBOR, hex("c074" + HexFormat.of().formatHex(utf8("2023-11-14T22:13:20Z"))), Type.TIME));
        assertEquals(new ObjectLink(3, 1), value(ContentFormat.CBOR, hex("63333a31"), Type.OBJLNK));
        assertArrayEquals(new byte[] { 1 }, (byte[]) value(ContentFormat.CBOR, hex("4101"), Type.OPAQUE));
    }

    @Test
    void refusesOtherCbor() {
        for (String hex : List.of("", "ff", "f6", "80", "a0", "18", "0101", "f5", "6161", "c4821a05f5e10001",
                "81".repeat(600) + "00", "9f".repeat(100_000))) {
            refused(ContentFormat.CBOR, hex(hex), Type.INTEGER);
        }
        refused(ContentFormat.CBOR, hex("f97e00"), Type.TIME);
        refused(ContentFormat.CBOR, hex("c0626161"), Type.TIME);
        refused(ContentFormat.OPAQUE, hex("01"), Type.INTEGER);
    }

    @Test
    void readsEveryTypeOfTlv() {
        String values = "c10061" + "c101fb" + "c102ff" + "c4033fc00000" + "c10401" + "c205abcd" + "c4066553f100"
                + "c40700030001" + "880b07" + "41007f" + "42010203";
        SampleDecoder.Decoded decoded = tlv(values, "/40000/0");
        LwM2mObjectInstance instance = (LwM2mObjectInstance) node(decoded, "/40000/0");
        assertTrue(decoded.isComplete(), decoded.errors().toString());
        assertEquals("a", instance.getResource(0).getValue());
        assertEquals(-5L, instance.getResource(1).getValue());
        assertEquals(ULong.valueOf(255), instance.getResource(2).getValue(), "it has no sign");
        assertEquals(1.5, instance.getResource(3).getValue());
        assertEquals(true, instance.getResource(4).getValue());
        assertArrayEquals(hex("abcd"), (byte[]) instance.getResource(5).getValue());
        assertEquals(new Date(1_700_000_000_000L), instance.getResource(6).getValue());
        assertEquals(new ObjectLink(3, 1), instance.getResource(7).getValue());
        assertEquals(Set.of(0, 1), instance.getResource(11).getInstances().keySet());
    }

    @Test
    void aBadResourceDoesNotCostTheOthersOfItsInstance() {
        // a boolean of 7, an integer of 3 and 0 octets, a float of 2 octets, a text that is none
        SampleDecoder.Decoded decoded = tlv("0803" + "10" + "c10407" + "c101fb" + "c20301ff" + "c100ff" + "c10501" + "c002", "/40000");
        LwM2mObject object = (LwM2mObject) node(decoded, "/40000");
        assertEquals(Set.of(1, 5), object.getInstance(3).getResources().keySet());
        assertEquals(4, decoded.errors().size(), decoded.errors().toString());
        assertEquals("/40000/3/4: 7 is no BOOLEAN, which is 0 or 1", decoded.errors().get(0));
    }

    @Test
    void ofTlvThatIsCutTheWholeValuesAreUnderstood() {
        String whole = "c10105" + "c4033fc00000" + "c80508" + "0102030405060708";
        for (int octets = 3; octets < whole.length() / 2; octets++) {
            SampleDecoder.Decoded decoded = tlv(whole.substring(0, 2 * octets), "/40000/0");
            LwM2mObjectInstance instance = (LwM2mObjectInstance) node(decoded, "/40000/0");
            assertEquals(octets < 9 ? Set.of(1) : Set.of(1, 3), instance.getResources().keySet());
            assertEquals(octets == 3 || octets == 9 ? 0 : 1, decoded.errors().size(), decoded.errors().toString());
        }
        assertThrows(CodecException.class, () -> tlv("c1", "/40000/0"));
    }

    @Test
    void tlvBelongsToWhatWasAskedFor() {
        assertEquals(5L, ((LwM2mResource) node(tlv("c10105", "/40000/0/1"), "/40000/0/1")).getValue());
        assertEquals(5L, ((LwM2mResource) node(tlv("0003c10105", "/40000/0/1"), "/40000/0/1")).getValue());
        assertEquals(Set.of(2), ((LwM2mResource) node(tlv("410205", "/40000/0/11"), "/40000/0/11")).getInstances().keySet());
        assertEquals(Set.of(), ((LwM2mResource) node(tlv("800b", "/40000/0/11"), "/40000/0/11")).getInstances().keySet());
        assertEquals(Set.of(), ((LwM2mResource) node(tlv("", "/40000/0/11"), "/40000/0/11")).getInstances().keySet());
        assertTrue(((LwM2mObject) node(tlv("", "/40000"), "/40000")).getInstances().isEmpty());
        assertEquals("/40000/0/11/2", tlv("410205", "/40000/0/11/2").samples().get(0).nodes().keySet().iterator().next()
                .toString());
        assertThrows(CodecException.class, () -> tlv("", "/40000/0/1"));
        assertThrows(CodecException.class, () -> tlv("c10205", "/40000/0/1"), "another resource");
        assertThrows(CodecException.class, () -> tlv("0103c10105", "/40000/0/1"), "another instance");
        assertThrows(CodecException.class, () -> tlv("c10105", "/40000"), "of which instance?");
        assertThrows(CodecException.class, () -> tlv("410205", "/40000/0"), "of which resource?");
        assertEquals(List.of("/40000/0/1 comes twice"), tlv("c10105c10106", "/40000/0").errors());
    }

    @Test
    void tlvInTlvEndsSoon() {
        StringBuilder nested = new StringBuilder();
        for (int remaining = 200_000; remaining > 0; remaining -= 5) {
            nested.append("1800%06x".formatted(remaining - 5));
        }
        byte[] payload = hex(nested.toString());
        for (String path : List.of("/40000", "/40000/0", "/40000/0/1", "/33999/0")) {
            assertThrows(CodecException.class, () -> decode(ContentFormat.TLV, payload, path), path);
            CodecException told = assertThrows(CodecException.class,
                    () -> new PayloadGuard().decode(payload, ContentFormat.TLV, "/", new LwM2mPath(path), MODEL));
            assertTrue(told.getMessage().length() < 200);
        }
        PayloadGuard.check(hex("0805" + "8803" + "410105" + "c10105"), ContentFormat.TLV);
    }

    @Test
    void whatNoModelKnowsIsGuessedAndSaidToBe() {
        SampleDecoder.Decoded tlv = tlv("c100ff" + "8803" + "03" + "410105", "/33999/0");
        LwM2mObjectInstance instance = (LwM2mObjectInstance) node(tlv, "/33999/0");
        assertArrayEquals(hex("ff"), (byte[]) instance.getResource(0).getValue());
        assertEquals(List.of("/33999/0/0", "/33999/0/3/1"), tlv.guessed().stream().map(LwM2mPath::toString).toList());
        assertEquals("object 33999 has no model: its types are unknown; add its definition under Settings → Object models",
                tlv.incompleteness());
        SampleDecoder.Decoded resource = tlv("c163ff" + "c10105", "/40000/0");
        assertEquals(List.of(new LwM2mPath("/40000/0/99")), resource.guessed());
        assertTrue(resource.incompleteness().startsWith("the model of object 40000 (version 1.0) has no resource 99"),
                resource.incompleteness());
        assertEquals(Type.STRING, ((LwM2mResource) node(decode(ContentFormat.TEXT, utf8("21"), "/33999/0/1"), "/33999/0/1"))
                .getType());
        assertEquals(Type.INTEGER, ((LwM2mResource) node(decode(ContentFormat.CBOR, hex("15"), "/33999/0/1"), "/33999/0/1"))
                .getType());
        assertEquals(1, decode(ContentFormat.CBOR, hex("15"), "/33999/0/1").guessed().size());
        assertTrue(decode(ContentFormat.OPAQUE, hex("15"), "/33999/0/1").isComplete(), "octets are octets");
    }

    @Test
    void aSendSaysWhatItIsAbout() {
        for (ContentFormat format : List.of(ContentFormat.TLV, ContentFormat.TEXT, ContentFormat.OPAQUE, ContentFormat.CBOR)) {
            CodecException told = assertThrows(CodecException.class,
                    () -> decoder.decode(hex("c10105"), format, "/", List.of(), MODEL, RECEIVED));
            assertTrue(told.getMessage().contains("a Send is in SenML"), told.getMessage());
        }
    }
}
