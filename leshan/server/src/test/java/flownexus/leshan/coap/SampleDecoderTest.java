package flownexus.leshan.coap;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObject;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.request.ContentFormat;
import org.junit.jupiter.api.Test;

import flownexus.leshan.json.Json;
import flownexus.models.ObjectModels;

class SampleDecoderTest {

    private static final long RECEIVED = 1_800_000_000_000L;
    private static final LwM2mPath TEMPERATURE = new LwM2mPath("/3303/0/5700");
    private static final LwM2mModel MODEL = model();

    private final SampleDecoder decoder = new SampleDecoder();

    private static LwM2mModel model() {
        ObjectModels models = ObjectModels.load(List.of());
        ObjectModel[] chosen = { models.nearest(3, "1.1"), models.nearest(3303, "1.1") };
        return new StaticModel(chosen);
    }

    private SampleDecoder.Decoded send(String json) {
        return decoder.decode(json.replace('\'', '"').getBytes(StandardCharsets.UTF_8), ContentFormat.SENML_JSON, "/",
                List.of(), MODEL, RECEIVED);
    }

    private static Object value(Sample sample, LwM2mPath path) {
        return ((LwM2mResource) sample.nodes().get(path)).getValue();
    }

    @Test
    void keepsEverySampleOfASeriesOldestFirst() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/','bt':1700000000,'n':'5700','v':21.5,'t':10},"
                + "{'n':'5700','v':20.5},{'n':'5700','v':22.5,'t':20.25}]");

        assertEquals(List.of(1700000000000L, 1700000010000L, 1700000020250L),
                decoded.samples().stream().map(sample -> sample.time().longValueExact()).toList());
        assertEquals(20.5, value(decoded.samples().get(0), TEMPERATURE));
        assertEquals(22.5, ((LwM2mResource) Sample.newest(decoded.samples()).get(TEMPERATURE)).getValue());
        assertTrue(decoded.errors().isEmpty());
        assertFalse(decoded.clockless());
        assertNull(decoded.samples().get(0).rawTime());
    }

    @Test
    void spreadsValuesOfOnePathAtOneTimeByAMicrosecond() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','bt':1700000000,'v':1},{'v':2},{'v':3},"
                + "{'bn':'/3303/0/5701','vs':'C'}]");

        assertEquals(3, decoded.samples().size());
        assertEquals(new BigDecimal("1700000000000.002"), decoded.samples().get(2).time());
        assertEquals(3.0, value(decoded.samples().get(2), TEMPERATURE));
        assertEquals(0, new BigDecimal("1700000000").compareTo(decoded.samples().get(2).rawTime()));
        assertEquals(2, decoded.samples().get(0).nodes().size(), "what has another path is of the same moment");
    }

    @Test
    void rebasesTheTimesOfADeviceWithoutAClock() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','v':1,'t':100},{'v':2,'t':160.5}]");

        assertTrue(decoded.clockless());
        assertEquals(0, BigDecimal.valueOf(RECEIVED - 60_500).compareTo(decoded.samples().get(0).time()));
        assertEquals(0, BigDecimal.valueOf(RECEIVED).compareTo(decoded.samples().get(1).time()));
        assertEquals(0, new BigDecimal("100").compareTo(decoded.samples().get(0).rawTime()));
    }

    @Test
    void anchorsTimesBeforeNowAtTheReceiveTime() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','v':1,'t':-30},{'v':2,'t':0}]");

        assertFalse(decoded.clockless());
        assertEquals(0, BigDecimal.valueOf(RECEIVED - 30_000).compareTo(decoded.samples().get(0).time()));
        assertEquals(0, BigDecimal.valueOf(RECEIVED).compareTo(decoded.samples().get(1).time()));
    }

    @Test
    void givesNoTimeWhereTheDeviceGaveNone() {
        SampleDecoder.Decoded decoded = send("[{'n':'/3303/0/5700','v':1},{'n':'/3/0/7/1','v':5000}]");

        assertEquals(1, decoded.samples().size());
        assertNull(decoded.samples().get(0).time());
        LwM2mResourceInstance voltage = (LwM2mResourceInstance) decoded.samples().get(0).nodes()
                .get(new LwM2mPath("/3/0/7/1"));
        assertEquals(5000L, voltage.getValue());
    }

    @Test
    void aBadValueDoesNotCostTheOthers() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/','n':'5700','vs':'warm'},{'n':'5701','vs':'Cel'},"
                + "{'bn':'','n':'no/path','v':1},{'n':'/3/0/9','v':80}]");

        assertEquals(2, decoded.errors().size(), () -> decoded.errors().toString());
        assertEquals(List.of("/3303/0/5701", "/3/0/9"),
                decoded.samples().get(0).nodes().keySet().stream().map(LwM2mPath::toString).toList());
    }

    @Test
    void saysWhenNothingCanBeUnderstood() {
        assertThrows(CodecException.class, () -> send("[{'bn':'/3303/0/','n':'5700','vs':'warm'}]"));
        assertThrows(CodecException.class, () -> send("rubbish"));
        assertThrows(CodecException.class,
                () -> decoder.decode(new byte[] { 1 }, null, "/", List.of(), MODEL, RECEIVED));
        assertThrows(CodecException.class, () -> decoder.decode(new byte[] { 1, 2, 3 }, ContentFormat.fromCode(65000),
                "/", List.of(), MODEL, RECEIVED));
    }

    @Test
    void decodesObservedPathsAsTheyWereObserved() {
        byte[] payload = "[{\"bn\":\"/3303/0/\",\"n\":\"5700\",\"v\":21.5},{\"n\":\"5701\",\"vs\":\"C\"}]"
                .getBytes(StandardCharsets.UTF_8);
        LwM2mPath instance = new LwM2mPath("/3303/0");

        SampleDecoder.Decoded decoded = decoder.decode(payload, ContentFormat.SENML_JSON, "/", List.of(instance), MODEL,
                RECEIVED);

        LwM2mObjectInstance node = (LwM2mObjectInstance) decoded.samples().get(0).nodes().get(instance);
        assertEquals(21.5, node.getResource(5700).getValue());

        SampleDecoder.Decoded text = decoder.decode("21.5".getBytes(StandardCharsets.UTF_8), ContentFormat.TEXT, "/",
                List.of(TEMPERATURE), MODEL, RECEIVED);
        assertEquals(21.5, value(text.samples().get(0), TEMPERATURE));
        assertNull(text.samples().get(0).time());
    }

    @Test
    void understandsNamesBelowARootPath() {
        SampleDecoder.Decoded decoded = decoder.decode(
                "[{\"n\":\"/lwm2m/3303/0/5700\",\"v\":1}]".getBytes(StandardCharsets.UTF_8), ContentFormat.SENML_JSON,
                "/lwm2m", List.of(), MODEL, RECEIVED);
        assertEquals(1.0, value(decoded.samples().get(0), TEMPERATURE));
    }

    @Test
    void writesTimesAsNumbersOfMilliseconds() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','bt':1700000000,'v':1},{'v':2}]");
        String json = new String(Json.bytes(out -> {
            out.writeStartObject();
            Sample.write(out, decoded.samples());
            out.writeEndObject();
        }), StandardCharsets.UTF_8);
        assertTrue(json.contains("{\"time\":1700000000000,\"nodes\""), json);
        assertTrue(json.contains("{\"time\":1700000000000.001,\"rawTime\":1700000000,"), json);
    }

    private SampleDecoder.Decoded cbor(String hex, LwM2mPath... paths) {
        return decoder.decode(HexFormat.of().parseHex(hex), ContentFormat.SENML_CBOR, "/", List.of(paths), MODEL, RECEIVED);
    }

    /** A CBOR map entry with the name of the temperature. */
    private static final String NAMED = "006c" + HexFormat.of().formatHex("/3303/0/5700".getBytes(StandardCharsets.UTF_8));

    private static List<Long> times(SampleDecoder.Decoded decoded) {
        return decoded.samples().stream().map(sample -> sample.time().longValueExact()).toList();
    }

    @Test
    void keepsAbsoluteTimesOfWrongClocksAsTheyAre() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','v':1,'t':946684800},{'v':2,'t':268435456},"
                + "{'v':3,'t':2147483648},{'v':4,'t':4102444800.5}]");
        assertEquals(List.of(268435456000L, 946684800000L, 2147483648000L, 4102444800500L), times(decoded));
        assertFalse(decoded.clockless());
        assertTrue(decoded.samples().stream().allMatch(sample -> sample.rawTime() == null));
        assertEquals(List.of(RECEIVED), times(send("[{'bn':'/3303/0/5700','v':1,'t':268435455}]")),
                "that clock counts from the device's start");
    }

    @Test
    void keepsYearsOfBacklog() {
        StringBuilder json = new StringBuilder("[{'bn':'/3303/0/5700','bt':1500000000,'v':0}");
        for (int hour = 1; hour < 3 * 8766; hour++) {
            json.append(",{'t':").append(hour * 3600).append(",'v':").append(hour).append('}');
        }
        SampleDecoder.Decoded decoded = send(json.append(']').toString());
        assertEquals(3 * 8766, decoded.samples().size());
        assertEquals(1500000000000L, decoded.samples().get(0).time().longValueExact());
        assertEquals(1500000000000L + (3 * 8766 - 1) * 3600_000L,
                decoded.samples().get(decoded.samples().size() - 1).time().longValueExact());
    }

    @Test
    void aRepeatedRecordIsTheSameMeasurement() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','bt':1700000000,'v':1},{'v':1.0},{'v':2},{'v':1}]");
        assertEquals(3, decoded.samples().size());
        assertEquals(1.0, ((LwM2mResource) Sample.newest(decoded.samples()).get(TEMPERATURE)).getValue(), "the last one");
        assertEquals(1, send("[{'n':'/3303/0/5700','v':1},{'n':'/3303/0/5700','v':1}]").samples().size());
    }

    @Test
    void anEmptyPackIsNothingAndAnEmptyPayloadIsNone() {
        assertTrue(send("[]").samples().isEmpty());
        assertTrue(send("[]").isComplete());
        assertTrue(cbor("80").samples().isEmpty());
        assertTrue(send("[{'bn':'/3303/0/','bt':1700000000}]").samples().isEmpty());
        assertThrows(CodecException.class, () -> send(""));
        assertThrows(CodecException.class, () -> cbor(""));
        LwM2mObject none = (LwM2mObject) cbor("80", new LwM2mPath("/3303")).samples().get(0).nodes()
                .get(new LwM2mPath("/3303"));
        assertTrue(none.getInstances().isEmpty());
        assertThrows(CodecException.class, () -> cbor("80", TEMPERATURE));
    }

    @Test
    void anEmptyRecordCostsNoOther() {
        SampleDecoder.Decoded decoded = send("[{},{'n':'/3303/0/5700','v':1},{'n':'/3303/0/5701'},[],null,3]");
        assertEquals(1, decoded.samples().size());
        assertEquals(5, decoded.errors().size(), decoded.errors().toString());
        decoded = cbor("84a0a2" + NAMED + "0201f681");
        assertEquals(1, decoded.samples().size());
        assertEquals(3, decoded.errors().size(), decoded.errors().toString());
    }

    @Test
    void ofAPackThatIsCutTheWholeRecordsAreUnderstood() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','bt':1700000000,'v':1},{'t':1,'v':2},{'t':2,'v':3");
        assertEquals(List.of(1700000000000L, 1700000001000L), times(decoded));
        assertEquals(1, decoded.errors().size());
        decoded = cbor("83a3" + NAMED + "021901f4061a6553f100a3" + NAMED + "02f93c00061a6553f101a3" + NAMED + "02f9");
        assertEquals(List.of(1700000000000L, 1700000001000L), times(decoded));
        assertEquals(1, decoded.errors().size());
        assertEquals(1, send("[{'n':'/3303/0/5700','v':1}] and more").errors().size());
        assertEquals(1, cbor("81a2" + NAMED + "0201" + "00").errors().size());
        assertTrue(cbor("d9d9f79fa2" + NAMED + "0201ff").isComplete(), "marked as CBOR, of a length that is not said");
    }

    @Test
    void keepsNaNAndInfinities() {
        SampleDecoder.Decoded decoded = cbor("84a2" + NAMED + "02f97e00a202f97c0003f6a1" + "02f97c00a3" + NAMED
                + "02fbfff0000000000000061a6553f100");
        assertEquals(Double.NEGATIVE_INFINITY, value(decoded.samples().get(0), TEMPERATURE));
        assertEquals(Double.NaN, value(decoded.samples().get(1), TEMPERATURE));
        assertEquals(2, decoded.samples().size());
        assertEquals(2, decoded.errors().size(), decoded.errors().toString());
        assertEquals(Double.POSITIVE_INFINITY,
                value(cbor("81a2" + NAMED + "02fa7f800000").samples().get(0), TEMPERATURE));
        assertEquals(Double.NaN, value(send("[{'n':'/3303/0/5700','v':NaN}]").samples().get(0), TEMPERATURE));
        assertEquals(Double.NEGATIVE_INFINITY,
                value(send("[{'n':'/3303/0/5700','v':-Infinity}]").samples().get(0), TEMPERATURE));
        assertThrows(CodecException.class, () -> cbor("81a3" + NAMED + "020106f97e00"), "NaN is no time");
        assertThrows(CodecException.class, () -> send("[{'n':'/3/0/9','v':NaN}]"), "NaN is no integer");
    }

    @Test
    void aBadBaseCostsWhatFollowsUntilTheNext() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','bt':'noon','v':1},{'v':2,'t':5},"
                + "{'bt':1700000000,'v':3},{'bt':null,'v':4}]");
        assertEquals(List.of(1700000000000L), times(decoded));
        assertEquals(3.0, value(decoded.samples().get(0), TEMPERATURE));
        assertFalse(decoded.errors().isEmpty());
    }

    @Test
    void addsBaseValuesAndHeedsWhatMustBeUnderstood() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/3303/0/5700','bv':20,'v':1.5},{'n':'','t':0,'v':2},"
                + "{'n':'','t':1,'v':3,'new_':1},{'n':'','t':2,'v':4,'u':'Cel'},{'n':'','v':5,'vs':'five'}]");
        assertEquals(22.0, value(decoded.samples().get(0), TEMPERATURE));
        assertEquals(24.0, value(decoded.samples().get(1), TEMPERATURE));
        assertEquals(21.5, value(decoded.samples().get(2), TEMPERATURE));
        assertEquals(2, decoded.errors().size(), decoded.errors().toString());
    }

    @Test
    void whatNoModelKnowsHasTheTypeThatItCameWith() {
        SampleDecoder.Decoded decoded = send("[{'bn':'/33999/0/','n':'0','v':21.5},{'n':'1','v':-7},{'n':'2','vb':true},"
                + "{'n':'3','vs':'on'},{'n':'4','vd':'AQL_'},{'n':'5','vlo':'3303:1'},{'n':'6/1','v':9},"
                + "{'n':'7','v':9223372036854775808},{'n':'8','v':1e400},{'bn':'/3303/0/','n':'26241','vs':'ours'}]");
        Map<LwM2mPath, LwM2mNode> nodes = decoded.samples().get(0).nodes();
        List<String> types = nodes.values().stream().map(node -> node instanceof LwM2mResource resource
                ? resource.getType() + " " + (resource.getType() == Type.OPAQUE ? "bytes" : resource.getValue())
                : ((LwM2mResourceInstance) node).getType() + " [" + ((LwM2mResourceInstance) node).getValue() + "]").toList();
        assertEquals(List.of("FLOAT 21.5", "INTEGER -7", "BOOLEAN true", "STRING on", "OPAQUE bytes",
                "OBJLNK /3303/1", "INTEGER [9]",
                "UNSIGNED_INTEGER 9223372036854775808", "STRING ours"), types);
        assertArrayEquals(new byte[] { 1, 2, -1 },
                (byte[]) ((LwM2mResource) nodes.get(new LwM2mPath("/33999/0/4"))).getValue());
        assertEquals(1, decoded.errors().size(), "1e400 is more than a FLOAT holds");
        assertTrue(decoded.guessed().isEmpty());
    }

    @Test
    void takesBase64InBothAlphabetsAndRefusesHalfCharacters() {
        for (String text : List.of("-_8=", "-_8", "+/8=", "+/8")) {
            LwM2mResource octets = (LwM2mResource) send("[{'n':'/33999/0/4','vd':'" + text + "'}]").samples().get(0).nodes()
                    .get(new LwM2mPath("/33999/0/4"));
            assertArrayEquals(new byte[] { -5, -1 }, (byte[]) octets.getValue(), text);
        }
        assertThrows(CodecException.class, () -> send("[{'n':'/33999/0/4','vd':'*'}]"));
        CodecException half = assertThrows(CodecException.class, () -> send("[{'n':'/3303/0/5701','vs':'\\ud83d'}]"));
        assertEquals("/3303/0/5701: the text is not valid Unicode", half.getMessage());
        assertThrows(CodecException.class, () -> send("[{'n':'\\ud83d%s%n','v':1}]"));
        assertEquals("\ud83d\ude00",
                ((LwM2mResource) send("[{'n':'/33999/0/1','vs':'\\ud83d\\ude00'}]").samples().get(0).nodes()
                        .get(new LwM2mPath("/33999/0/1"))).getValue());
    }

    @Test
    void whatIsToldOfErrorsIsBounded() {
        SampleDecoder.Decoded decoded = send("[{'n':'/3303/0/5700','v':1}"
                + ",{'n':'x%n','v':1},{'n':'/3303/0/5701','v':1}".repeat(200)
                + ",{'n':'" + "/9".repeat(100_000) + "','v':1}".repeat(1) + "]");
        assertEquals(1, decoded.samples().size());
        assertTrue(decoded.incompleteness().length() < 1000, decoded.incompleteness());
        StringBuilder many = new StringBuilder("[");
        for (int index = 0; index < 5000; index++) {
            many.append("{'n':'/3303/").append(index).append("/5701','v':1},");
        }
        CodecException all = assertThrows(CodecException.class, () -> send(many.append("{}]").toString()));
        assertTrue(all.getMessage().length() < 5000, all.getMessage());
    }

    @Test
    void aPackOfMoreRecordsThanAnybodyGathersIsKeptAsAWhole() {
        CodecException many = assertThrows(CodecException.class,
                () -> cbor("9fa2" + NAMED + "0201" + "a10201".repeat(SenmlReader.MAX_RECORDS) + "ff"));
        assertEquals("more than 200000 records", many.getMessage());
    }

    @Test
    void aBadValueDoesNotCostTheObservedInstance() {
        LwM2mPath instance = new LwM2mPath("/3303/0");
        byte[] payload = ("[{'bn':'/3303/0/','n':'5700','v':21.5},{'n':'5701','v':7},{'n':'5602','v':30}]")
                .replace('\'', '"').getBytes(StandardCharsets.UTF_8);
        SampleDecoder.Decoded decoded = decoder.decode(payload, ContentFormat.SENML_JSON, "/", List.of(instance), MODEL,
                RECEIVED);
        LwM2mObjectInstance node = (LwM2mObjectInstance) decoded.samples().get(0).nodes().get(instance);
        assertEquals(Set.of(5700, 5602), node.getResources().keySet());
        assertEquals(1, decoded.errors().size());
    }

    @Test
    void partsKeepTheOrderAndLoseNothing() {
        List<Sample> samples = send("[{'bn':'/3303/0/5700','v':1,'t':1700000000},{'v':2,'t':1700000001},"
                + "{'v':3,'t':1700000002}]").samples();
        assertEquals(List.of(samples.subList(0, 2), samples.subList(2, 3)), Sample.parts(samples, 2));
        assertEquals(List.of(samples), Sample.parts(samples, 3));
        assertEquals(List.of(List.of()), Sample.parts(List.of(), 3));
        assertEquals(3, Sample.parts(samples, 0).size());
        List<Sample> texts = send("[{'bn':'/3303/0/5701','vs':'" + "x".repeat(200) + "','t':1700000000},"
                + "{'vs':'y','t':1700000001},{'bn':'/20/0/4014','vd':'AAAA','t':1700000002}]").samples();
        assertEquals(List.of(texts.subList(0, 1), texts.subList(1, 3)), Sample.parts(texts, 3), "the first weighs three");
    }
}
