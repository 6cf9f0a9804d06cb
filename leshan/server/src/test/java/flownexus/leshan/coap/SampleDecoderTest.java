package flownexus.leshan.coap;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.util.List;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.StaticModel;
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
}
