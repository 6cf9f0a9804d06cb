package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.List;

import flownexus.models.ObjectModels;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.core.request.ContentFormat;
import org.junit.jupiter.api.Test;

class DeviceClockTest {

    @Test
    void everyStampIsLaterAndSurvivesTheWire() {
        LwM2mModel model = new StaticModel(ObjectModels.load(List.of()).nearest(3303, "1.1"));
        DefaultLwM2mEncoder encoder = new DefaultLwM2mEncoder();
        DefaultLwM2mDecoder decoder = new DefaultLwM2mDecoder();
        DeviceClock clock = new DeviceClock();
        Instant previous = Instant.MIN;
        // two thousand stamps in a row cover every millisecond of a second
        for (int i = 0; i < 2000; i++) {
            Instant stamp = clock.stamp();
            assertTrue(stamp.isAfter(previous));
            previous = stamp;
            TimestampedLwM2mNodes sent = TimestampedLwM2mNodes.builder()
                    .put(stamp, Device.TEMPERATURE, LwM2mSingleResource.newFloatResource(5700, i)).build();
            byte[] payload = encoder.encodeTimestampedNodes(sent, ContentFormat.SENML_CBOR, null, model);
            assertNotNull(decoder.decodeTimestampedNodes(payload, ContentFormat.SENML_CBOR, null, null, model)
                    .getNodesAt(stamp));
        }
    }

    @Test
    void theServerMaySetIt() {
        DeviceClock clock = new DeviceClock();
        Instant past = Instant.parse("2001-09-09T01:46:40Z");
        clock.set(past);
        assertTrue(Duration.between(past, clock.stamp()).abs().toSeconds() < 60);
        clock.reset();
        assertEquals(0, Duration.between(Instant.now(), clock.now()).toMinutes());
    }
}
