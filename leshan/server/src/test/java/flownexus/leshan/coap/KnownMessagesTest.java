package flownexus.leshan.coap;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.network.Exchange.Origin;
import org.eclipse.californium.core.network.KeyMID;
import org.eclipse.californium.elements.config.Configuration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

import flownexus.leshan.Timers;

class KnownMessagesTest {

    private static final int FEWEST = KnownMessages.FEWEST;

    private final Configuration configuration = new Configuration(CoapConfig.DEFINITIONS);
    private final ScheduledExecutorService executor = Timers.create("test");

    @AfterEach
    void end() {
        executor.shutdownNow();
    }

    private static Exchange exchange(String path, String peer, Origin origin) {
        Request request = path.startsWith("/fw") ? Request.newGet() : Request.newPost();
        request.getOptions().setUriPath(path);
        return new Exchange(request, peer, origin, null);
    }

    private static Exchange send(KnownMessages messages, String peer, int number) {
        Exchange exchange = exchange("/dp", peer, Origin.REMOTE);
        assertNull(messages.findPrevious(new KeyMID(number, peer), exchange));
        return exchange;
    }

    @Test
    void whileThereIsRoomAllAreKnown() {
        KnownMessages messages = new KnownMessages(configuration);
        Exchange first = send(messages, "a", 0);
        for (int number = 1; number < 10_000; number++) {
            send(messages, "a", number);
        }
        Exchange again = exchange("/dp", "a", Origin.REMOTE);
        assertSame(first, messages.findPrevious(new KeyMID(0, "a"), again));
        assertSame(first, messages.find(new KeyMID(0, "a")));
        assertNull(messages.find(new KeyMID(0, "b")));
    }

    @Test
    void whereThereIsNoneTheLatestOfEachAddressAre() {
        KnownMessages messages = new KnownMessages(configuration, 1000);
        Exchange quiet = send(messages, "quiet", 1);
        for (int number = 0; number < 5000; number++) {
            send(messages, "loud", number);
        }
        assertEquals(1000, messages.size());
        assertSame(quiet, messages.find(new KeyMID(1, "quiet")));
        assertNull(messages.find(new KeyMID(4000, "loud")));
        for (int number = 0; number < FEWEST; number++) {
            send(messages, "other", number);
        }
        for (int number = 0; number < FEWEST; number++) {
            assertTrue(messages.find(new KeyMID(number, "other")) != null);
        }
        send(messages, "loud", 5000);
        assertEquals(1000, messages.size());
        messages.clear();
        assertTrue(messages.isEmpty());
    }

    @Test
    void theyAreForgottenInTime() {
        configuration.set(CoapConfig.EXCHANGE_LIFETIME, 50, TimeUnit.MILLISECONDS);
        configuration.set(CoapConfig.MARK_AND_SWEEP_INTERVAL, 20, TimeUnit.MILLISECONDS);
        KnownMessages messages = new KnownMessages(configuration);
        messages.setExecutor(executor);
        messages.start();
        for (int number = 0; number < 100; number++) {
            send(messages, "peer " + number % 3, number);
        }
        eventually("all are forgotten", messages::isEmpty);
        send(messages, "peer 0", 0);
        messages.stop();
        assertTrue(messages.isEmpty());
    }

    @Test
    void blocksOfAPackageAreNotRemembered() {
        KnownMessages messages = new KnownMessages(configuration);
        for (int times = 0; times < 2; times++) {
            assertNull(messages.findPrevious(new KeyMID(1, "a"), exchange("/fw/token", "a", Origin.REMOTE)));
        }
        assertTrue(messages.isEmpty());
        // nor do they hide what has the same number
        send(messages, "a", 1);
    }

    @Test
    void anAnswerIsNotARequestWithTheSameNumber() {
        KnownMessages messages = new KnownMessages(configuration);
        send(messages, "a", 1);
        Exchange answered = exchange("/3/0", "a", Origin.LOCAL);
        assertNull(messages.findPrevious(new KeyMID(1, "a"), answered));
        assertSame(answered, messages.find(new KeyMID(1, "a")));
        Exchange replacing = exchange("/3/0", "a", Origin.LOCAL);
        assertTrue(messages.replacePrevious(new KeyMID(1, "a"), answered, replacing));
        assertSame(replacing, messages.find(new KeyMID(1, "a")));
        assertEquals(1, messages.size());
    }
}
