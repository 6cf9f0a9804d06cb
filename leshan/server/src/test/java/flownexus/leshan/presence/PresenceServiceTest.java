package flownexus.leshan.presence;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;

import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.endpoint.EndpointUri;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.PskIdentity;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.server.registration.Registration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PresenceServiceTest {

    @TempDir
    Path folder;

    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    private final List<String> told = new CopyOnWriteArrayList<>();
    private PresenceService presence;

    @BeforeEach
    void create() throws IOException {
        presence = service();
    }

    @AfterEach
    void end() {
        timer.shutdownNow();
    }

    private PresenceService service() throws IOException {
        return new PresenceService(folder.resolve("awake.json"), 86400, timer,
                (endpoint, awake) -> told.add(endpoint + (awake ? " awake" : " sleeping")));
    }

    private static Registration registration(String id, String endpoint, boolean queueMode) {
        IpPeer peer = new IpPeer(new InetSocketAddress(InetAddress.getLoopbackAddress(), 5000), new PskIdentity(endpoint));
        return new Registration.Builder(id, endpoint, peer, new EndpointUri("coaps", "127.0.0.1", 5684))
                .lwM2mVersion(LwM2mVersion.V1_1).bindingMode(EnumSet.of(BindingMode.U)).queueMode(queueMode).build();
    }

    @Test
    void sleepsAfterTheDevicesOwnWindowAndWakesWithAnyMessage() throws IOException {
        Registration sleeper = registration("r1", "d", true);
        presence.setWindow("d", 1);
        presence.registered(sleeper);
        assertFalse(presence.isSleeping(sleeper));

        eventually("it sleeps", () -> presence.isSleeping(sleeper));
        presence.heard(new PskIdentity("d"));
        assertFalse(presence.isSleeping(sleeper));
        eventually("it sleeps again", () -> presence.isSleeping(sleeper));
        eventually("all is told", () -> told.size() == 3);
        assertEquals(List.of("d sleeping", "d awake", "d sleeping"), told);
    }

    @Test
    void aShorterWindowCountsAtOnce() throws IOException {
        Registration sleeper = registration("r1", "d", true);
        presence.registered(sleeper);
        presence.setWindow("d", 1);
        eventually("it sleeps", () -> presence.isSleeping(sleeper));
    }

    @Test
    void aDeviceWithoutQueueModeNeverSleeps() throws IOException {
        Registration awake = registration("r1", "d", false);
        presence.setWindow("d", 1);
        presence.registered(awake);
        presence.heard(new PskIdentity("d"));
        assertFalse(presence.isSleeping(awake));

        Registration other = registration("r2", "e", true);
        presence.setWindow("e", 1);
        presence.registered(other);
        eventually("the other sleeps", () -> presence.isSleeping(other));
        assertEquals(List.of("e sleeping"), told);
    }

    @Test
    void theEndOfAnOldRegistrationDoesNotTouchTheNewOne() throws IOException {
        Registration before = registration("r1", "d", true);
        Registration after = registration("r2", "d", true);
        presence.registered(before);
        presence.registered(after);
        presence.unregistered(before);
        presence.setWindow("d", 1);
        eventually("the new one is still followed", () -> presence.isSleeping(after));

        presence.unregistered(after);
        presence.heard(new PskIdentity("d"));
        assertFalse(presence.isSleeping(after));
    }

    @Test
    void tellsInTheOrderInWhichItHappens() throws Exception {
        List<Boolean> order = new CopyOnWriteArrayList<>();
        PresenceService[] service = new PresenceService[1];
        Thread message = new Thread(() -> service[0].heard(new PskIdentity("d")));
        service[0] = new PresenceService(folder.resolve("other.json"), 1, timer, (endpoint, awake) -> {
            if (!awake && order.isEmpty()) {
                // a message comes just now
                message.start();
                eventually("it is taken, or waits", () -> message.getState() == Thread.State.BLOCKED
                        || message.getState() == Thread.State.TERMINATED);
            }
            order.add(awake);
        });
        service[0].registered(registration("r1", "d", true));
        eventually("both are told", () -> order.size() >= 2);
        message.join();
        assertEquals(List.of(false, true), order.subList(0, 2));
    }

    @Test
    void keepsWindowsOverARestart() throws IOException {
        presence.setWindow("a/\"b", 1);
        Registration sleeper = registration("r1", "a/\"b", true);
        PresenceService again = service();
        again.registered(sleeper);
        eventually("it sleeps after 1 s, not after a day", () -> again.isSleeping(sleeper));
    }

    @Test
    void refusesAWindowOfNoUse() {
        assertThrows(IllegalArgumentException.class, () -> presence.setWindow("d", 0));
        assertThrows(IllegalArgumentException.class, () -> presence.setWindow("d", 86401));
        assertTrue(told.isEmpty());
    }
}
