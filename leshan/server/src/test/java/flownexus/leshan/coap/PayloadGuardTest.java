package flownexus.leshan.coap;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.request.ContentFormat;
import org.junit.jupiter.api.Test;

import flownexus.models.ObjectModels;

class PayloadGuardTest {

    private static final LwM2mPath TEMPERATURE = new LwM2mPath("/3303/0/5700");
    private static final LwM2mPath CLOCK = new LwM2mPath("/3/0/13");
    private static final LwM2mModel MODEL = new StaticModel(ObjectModels.load(List.of()).nearest(3303, "1.1"),
            ObjectModels.load(List.of()).nearest(3, "1.1"));
    private static final long RECEIVED = 1_800_000_000_000L;

    /** {@code [{0: path, …}]} with further fields in hexadecimal. */
    private static byte[] record(LwM2mPath path, int fields, String rest) {
        byte[] name = path.toString().getBytes(StandardCharsets.UTF_8);
        return HexFormat.of().parseHex("81%02x0078%02x".formatted(0xa0 + fields, name.length)
                + HexFormat.of().formatHex(name) + rest);
    }

    private static byte[] json(String text) {
        return text.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    }

    private static void refused(byte[] payload, ContentFormat format) {
        assertTimeoutPreemptively(Duration.ofSeconds(10), () -> {
            assertThrows(CodecException.class,
                    () -> new SampleDecoder().decode(payload, format, "/", List.of(), MODEL, RECEIVED));
            assertThrows(CodecException.class, () -> new PayloadGuard().decode(payload, format, "/", TEMPERATURE, MODEL));
            assertThrows(CodecException.class, () -> new PayloadGuard().decodeNodes(payload, format, "/",
                    List.of(TEMPERATURE), MODEL));
            assertThrows(CodecException.class, () -> new PayloadGuard().decodeTimestampedData(payload, format, "/",
                    TEMPERATURE, MODEL));
            assertThrows(CodecException.class, () -> new PayloadGuard().decodeTimestampedNodes(payload, format, "/",
                    List.of(TEMPERATURE), MODEL));
        });
    }

    @Test
    void refusesNumbersThatWouldTakeHours() {
        String hugeDecimal = "c4821a05f5e10001";
        String tinyDecimal = "c4823a05f5e10001";
        String hugeBinary = "c5821a3b9aca0001";
        for (String number : List.of(hugeDecimal, tinyDecimal, hugeBinary)) {
            refused(record(TEMPERATURE, 2, "02" + number), ContentFormat.SENML_CBOR);
            refused(record(TEMPERATURE, 3, "020106" + number), ContentFormat.SENML_CBOR);
            refused(HexFormat.of().parseHex(number), ContentFormat.CBOR);
        }
        refused(record(TEMPERATURE, 2, "02c2590400" + "ff".repeat(1024)), ContentFormat.SENML_CBOR);
        for (String number : List.of("1e100000000", "1E-100000000", "1e+100000000")) {
            refused(json("[{'n':'/3303/0/5700','v':" + number + "}]"), ContentFormat.SENML_JSON);
            refused(json("[{'n':'/3303/0/5700','v':1,'t':" + number + "}]"), ContentFormat.SENML_JSON);
            refused(json("[{'n':'a','n':'/3303/0/5700','v':1,'t':" + number + "}]"), ContentFormat.SENML_JSON);
            refused(json("{'bn':'/3303/0/5700','e':[{'v':1,'t':" + number + "}]}"), ContentFormat.JSON);
        }
    }

    @Test
    void leavesEverythingElseAlone() {
        for (String usual : List.of("f93c00", "fbc5c4c3c2c1c0d8d9", "c48221196ab3", "c249010000000000000000",
                "1bffffffffffffffff",
                "63c3a92e", "c11a651a0e80")) {
            assertDoesNotThrow(() -> PayloadGuard.check(HexFormat.of().parseHex(usual), ContentFormat.CBOR), usual);
        }
        assertDoesNotThrow(() -> PayloadGuard.check(json("[{'n':'/3303/0/5518','vs':'serial e123456789'},{'v':1e400}]"),
                ContentFormat.SENML_JSON));
        SampleDecoder.Decoded decoded = new SampleDecoder().decode(record(TEMPERATURE, 2, "02c4822119085a"),
                ContentFormat.SENML_CBOR, "/", List.of(), MODEL, RECEIVED);
        assertEquals(21.38, ((LwM2mResource) decoded.samples().get(0).nodes().get(TEMPERATURE)).getValue());
    }

    @Test
    void tellsOfTimesThatNobodyCanKeepInPlaceOfChangingThem() {
        SampleDecoder.Decoded decoded = new SampleDecoder().decode(
                json("[{'n':'/3303/0/5700','v':1,'t':1e300},{'n':'/3303/0/5701','vs':'Cel','t':0},"
                        + "{'n':'/3/0/13','v':9223372036854775807,'t':0}]"),
                ContentFormat.SENML_JSON, "/", List.of(), MODEL, RECEIVED);
        assertEquals(2, decoded.errors().size(), decoded.errors().toString());
        assertEquals(1, decoded.samples().size());
        assertEquals(RECEIVED, decoded.samples().get(0).time().longValueExact());
        assertThrows(CodecException.class, () -> new SampleDecoder().decode(
                record(CLOCK, 2, "021b7fffffffffffffff"), ContentFormat.SENML_CBOR, "/", List.of(CLOCK), MODEL, RECEIVED));
    }
}
