package flownexus.fleet;

import static flownexus.fleet.TestServer.await;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import flownexus.models.ObjectModels;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Odd values, odd clocks, and where devices are. */
@Timeout(60)
class UploadTest {

    private static final ObjectModels MODELS = ObjectModels.load(List.of());
    private static final String VALUE = "/3303/0/5700";

    private final List<AutoCloseable> open = new ArrayList<>();
    private TestServer server;

    @AfterEach
    void closeAll() throws Exception {
        for (int i = open.size() - 1; i >= 0; i--) {
            open.get(i).close();
        }
    }

    private void start(int count, String... flags) throws Exception {
        server = TestServer.plain(VALUE);
        open.add(server);
        List<String> all = new ArrayList<>(List.of("--server", server.uri().toString(), "--count",
                Integer.toString(count), "--interval", "0.05"));
        all.addAll(Arrays.asList(flags));
        Fleet fleet = new Fleet(CommandLineTest.settings(all.toArray(String[]::new)), MODELS);
        open.add(fleet);
        fleet.start();
        await("registered", () -> fleet.devices().stream().allMatch(Device::isRegistered));
    }

    private List<TestServer.Sample> samples(String endpoint) {
        return List.copyOf(server.samples).stream()
                .filter(sample -> sample.endpoint().equals(endpoint) && sample.path().toString().equals(VALUE)).toList();
    }

    private Instant clock(String endpoint) throws InterruptedException {
        return ((Date) read(endpoint, "/3/0/13")).toInstant();
    }

    private Object read(String endpoint, String path) throws InterruptedException {
        return ((LwM2mSingleResource) server.ask(endpoint, new ReadRequest(path)).getContent()).getValue();
    }

    @Test
    void numbersThatAreNoneTravel() throws Exception {
        start(2, "--send", "--fault", "sim-1:/3303/0/5700=value@3:NaN*2", "--fault",
                "sim-1:/3303/0/5700=value:-Infinity*1", "--fault", "sim-2:/3303=value:1e308");
        await("samples", () -> samples("sim-1").size() > 12 && !samples("sim-2").isEmpty());
        List<Double> values = samples("sim-1").stream().map(sample -> (Double) sample.value()).toList();
        assertEquals(2, values.stream().filter(value -> value.isNaN()).count());
        assertEquals(1, values.stream().filter(value -> value == Double.NEGATIVE_INFINITY).count());
        assertTrue(samples("sim-2").stream().allMatch(sample -> sample.value().equals(1e308)));
    }

    @Test
    void observersSeeThemToo() throws Exception {
        start(1, "--fault", VALUE + "=value:Infinity*1", "--fault", VALUE + "=value:NaN");
        await("NaN", () -> server.notified("sim-1", VALUE).stream().anyMatch(value -> ((Double) value).isNaN()));
    }

    @Test
    void twoValuesOfOneMomentAndAMessageThatComesTwice() throws Exception {
        start(2, "--send", "--fault", "sim-1:/3303=conflict*3", "--fault", "sim-2:/3303/0/5700=twice*2");
        await("samples", () -> samples("sim-1").size() > 10 && samples("sim-2").size() > 10);
        Map<Instant, List<Object>> moments = new HashMap<>();
        samples("sim-1").forEach(
                sample -> moments.computeIfAbsent(sample.time(), time -> new ArrayList<>()).add(sample.value()));
        List<List<Object>> pairs = moments.values().stream().filter(values -> values.size() > 1).toList();
        assertEquals(3, pairs.size());
        pairs.forEach(values -> assertEquals((double) values.get(0) + 1, (double) values.get(1), 1e-9));
        List<TestServer.Sample> again = samples("sim-2");
        // on a busy machine several values travel in one
        assertTrue(again.size() - again.stream().distinct().count() >= 2);
    }

    @Test
    void clocksMayBeWrongAndCanBeSet() throws Exception {
        start(4, "--send", "--fault", "sim-1:/3/0/13=clock:boot", "--fault", "sim-2:/3/0/13=clock:2060-06-01", "--fault",
                "sim-3:/3/0/13=clock:-86400", "--fault", "sim-3:/3/0/13=drift:59000000", "--fault",
                "sim-4:/3/0/13=clock:2000-01-01", "--fault", "sim-4:/3/0/13@write=method_not_allowed");
        assertTrue(clock("sim-1").isBefore(Instant.parse("1970-01-01T00:05:00Z")));
        assertTrue(clock("sim-2").toString().startsWith("2060-06-01T00:0"));
        await("samples", () -> samples("sim-4").size() > 5 && samples("sim-3").size() > 5);
        assertTrue(samples("sim-4").get(0).time().toString().startsWith("2000-01-01T00:0"));
        List<TestServer.Sample> fast = samples("sim-3");
        Duration late = Duration.between(fast.get(0).time(), Instant.now());
        assertTrue(late.toHours() >= 22 && late.toHours() <= 24, late.toString());
        // intervals of 50 ms that look like three seconds
        Duration all = Duration.between(fast.get(0).time(), fast.get(5).time());
        assertTrue(all.toSeconds() >= 10, all.toString());

        Date now = new Date();
        assertTrue(server.ask("sim-1", new WriteRequest(3, 0, 13, now)).isSuccess());
        assertTrue(Duration.between(now.toInstant(), clock("sim-1")).abs().toSeconds() < 30);
        assertEquals(ResponseCode.METHOD_NOT_ALLOWED, server.ask("sim-4", new WriteRequest(3, 0, 13, now)).getCode());
        assertTrue(clock("sim-4").toString().startsWith("2000-01-01T00:0"));
    }

    @Test
    void devicesAreApartAndSomeMove() throws Exception {
        start(3);
        double[][] places = new double[3][];
        for (int i = 0; i < 3; i++) {
            places[i] = new double[] { (double) read("sim-" + (i + 1), "/6/0/0"), (double) read("sim-" + (i + 1), "/6/0/1") };
        }
        for (int i = 0; i < 3; i++) {
            double[] here = places[i];
            double[] other = places[(i + 1) % 3];
            double degrees = Math.hypot(here[0] - other[0], here[1] - other[1]);
            assertTrue(degrees > 0.001 && degrees < 1, "distance " + degrees);
        }
        assertArrayEquals(places[0], new double[] { (double) read("sim-1", "/6/0/0"), (double) read("sim-1", "/6/0/1") });
        assertEquals(0.0, read("sim-1", "/6/0/6"));
        assertTrue((double) read("sim-2", "/6/0/6") > 0);
        await("movement", () -> {
            try {
                return (double) read("sim-2", "/6/0/0") != places[1][0];
            } catch (InterruptedException e) {
                throw new IllegalStateException(e);
            }
        });
        assertNotEquals(read("sim-2", "/6/0/1"), read("sim-3", "/6/0/1"));
    }
}
