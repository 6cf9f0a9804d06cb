package flownexus.leshan.coap;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.config.UdpConfig;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A device (a Californium server) that notifies, and a server's endpoint with our stack. */
class CommitStackTest {

    private final Configuration configuration = new Configuration(SystemConfig.DEFINITIONS, CoapConfig.DEFINITIONS,
            UdpConfig.DEFINITIONS).set(CoapConfig.ACK_TIMEOUT, 100, TimeUnit.MILLISECONDS);
    private final CoapServer device = new CoapServer(configuration);
    private final Temperature temperature = new Temperature();
    private final List<EmptyMessage> acknowledgements = new CopyOnWriteArrayList<>();
    private final AtomicInteger notificationsReceived = new AtomicInteger();
    private final BlockingQueue<Runnable> held = new LinkedBlockingQueue<>();
    private final AtomicInteger delivered = new AtomicInteger();
    private volatile boolean take = true;
    private CoapEndpoint deviceEndpoint;
    private CoapEndpoint server;

    private static final class Temperature extends CoapResource {

        private volatile String value = "first";

        Temperature() {
            super("t");
            setObservable(true);
            setObserveType(Type.CON);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond(value);
        }

        void set(String changed) {
            value = changed;
            changed();
        }
    }

    @BeforeEach
    void start() throws Exception {
        deviceEndpoint = CoapEndpoint.builder().setConfiguration(configuration)
                .setInetSocketAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)).build();
        device.addEndpoint(deviceEndpoint);
        device.add(temperature);
        device.start();

        server = CoapEndpoint.builder().setConfiguration(configuration)
                .setInetSocketAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                .setCoapStackFactory((protocol, tag, config, matcher, outbox, argument) -> new CommitStack(tag, config,
                        matcher, outbox))
                .build();
        server.addInterceptor(new MessageInterceptor() {
            @Override
            public void sendEmptyMessage(EmptyMessage message) {
                acknowledgements.add(message);
            }

            @Override
            public void receiveResponse(Response response) {
                if (response.getType() == Type.CON) {
                    notificationsReceived.incrementAndGet();
                }
            }
        });
        server.addNotificationListener((request, response) -> {
            delivered.incrementAndGet();
            if (take) {
                held.add(HeldAcknowledgement.take());
            }
        });
        server.start();

        Request observe = Request.newGet().setObserve();
        observe.setURI(deviceEndpoint.getUri() + "/t");
        server.sendRequest(observe);
        assertNotNull(observe.waitForResponse(5000));
        assertTrue(acknowledgements.isEmpty());
    }

    @AfterEach
    void end() {
        server.destroy();
        device.destroy();
    }

    @Test
    void acknowledgesANotificationOnlyWhenItIsStored() throws Exception {
        temperature.set("second");
        Runnable acknowledge = held.poll(5, TimeUnit.SECONDS);
        assertNotNull(acknowledge);

        eventually("the device repeats what is not acknowledged", () -> notificationsReceived.get() >= 2);
        assertTrue(acknowledgements.isEmpty());
        assertEquals(1, delivered.get(), "a repetition is not delivered");

        acknowledge.run();
        eventually("it is acknowledged", () -> acknowledgements.size() >= 1);
        temperature.set("third");
        assertNotNull(held.poll(5, TimeUnit.SECONDS), "the device goes on");
        assertEquals(Type.ACK, acknowledgements.get(0).getType());
    }

    @Test
    void acknowledgesAtOnceWhatNobodyStores() {
        take = false;
        temperature.set("second");
        eventually("it is acknowledged", () -> acknowledgements.size() == 1);
        assertEquals(1, notificationsReceived.get());
    }

    @Test
    void acknowledgesAgainWhatTheDeviceRepeatsAfterwards() throws Exception {
        temperature.set("second");
        Runnable acknowledge = held.poll(5, TimeUnit.SECONDS);
        assertNotNull(acknowledge);
        AtomicInteger lost = new AtomicInteger();
        deviceEndpoint.addInterceptor(new MessageInterceptor() {
            @Override
            public void receiveEmptyMessage(EmptyMessage message) {
                if (lost.getAndIncrement() == 0) {
                    message.cancel();
                }
            }
        });
        acknowledge.run();
        eventually("the first was lost and a second sent", () -> acknowledgements.size() >= 2);
        eventually("it came", () -> lost.get() >= 2);
        assertEquals(1, delivered.get());
    }
}
