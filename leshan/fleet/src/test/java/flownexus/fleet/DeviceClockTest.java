package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
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
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

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
        clock.reset(null, 0);
        assertEquals(0, Duration.between(Instant.now(), clock.now()).toMinutes());
    }

    @ParameterizedTest
    @CsvSource({ "boot,1970-01-01T00:00:00Z", "2000-01-01,2000-01-01T00:00:00Z", "2038-01-19T03:14:07Z,2038-01-19T03:14:07Z",
            "+3600,2026-05-01T01:00:00Z", "-0.5,2026-04-30T23:59:59.500Z" })
    void itMayStartWrong(String start, Instant shown) {
        assertEquals(shown, DeviceClock.parse(start).apply(Instant.parse("2026-05-01T00:00:00Z")));
    }

    @ParameterizedTest
    @ValueSource(strings = { "", "yesterday", "2000-13-01", "3600", "2000-01-01T00:00:00", "+" })
    void whatIsNoTimeIsRefused(String start) {
        assertThrows(IllegalArgumentException.class, () -> DeviceClock.parse(start));
    }

    @Test
    void itMayGain() {
        DeviceClock clock = new DeviceClock();
        Instant before = Instant.now();
        clock.reset(null, 59_000_000);
        long begin = System.nanoTime();
        Instant shown = clock.now();
        // a minute a second, from the truth on
        long most = Duration.between(before, Instant.now()).toMillis() + 60 * (System.nanoTime() - begin) / 1_000_000 + 60;
        assertTrue(Duration.between(before, shown).toMillis() <= most);
        clock.reset(now -> Instant.EPOCH, -1_000_000);
        assertEquals(Instant.EPOCH, clock.now(), "it stands still");
        assertTrue(clock.stamp().isBefore(clock.stamp()));
    }
}
