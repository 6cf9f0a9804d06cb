package flownexus.fleet;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

import flownexus.models.ObjectModels;
import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.SendRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ObserveCompositeResponse;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.model.VersionedModelProvider;
import org.eclipse.leshan.server.observation.ObservationListener;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.send.SendListener;
import org.eclipse.leshan.servers.security.InMemorySecurityStore;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpointsProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coap.CoapServerProtocolProvider;
import org.eclipse.leshan.transport.californium.server.endpoint.coaps.CoapsServerProtocolProvider;

/** A plain Leshan server in the test's own process that remembers what devices say. */
final class TestServer implements AutoCloseable {

    /** A sample of a Send; time is null where the device gave none. */
    record Sample(String endpoint, Instant time, LwM2mPath path, Object value) {
    }

    /** A notified value. */
    record Notified(String endpoint, String path, Object value) {
    }

    /** Server identity for X.509. */
    record Identity(PrivateKey key, X509Certificate certificate, X509Certificate authority) {
    }

    private static final Duration PATIENCE = Duration.ofSeconds(15);
    private static final ObjectModels MODELS = ObjectModels
            .load(List.of(Path.of("src/main/resources/objects")));

    final InMemorySecurityStore security = new InMemorySecurityStore();
    // read while devices go on talking
    final List<Sample> samples = new CopyOnWriteArrayList<>();
    final List<Notified> notifications = new CopyOnWriteArrayList<>();
    final List<String> events = new CopyOnWriteArrayList<>();
    /** What devices can fetch, by name. */
    final Map<String, byte[]> packages = new ConcurrentHashMap<>();
    /** What they fetched: endpoint's identity, name and number of the block. */
    final List<String> fetched = new CopyOnWriteArrayList<>();
    private final List<String> observed;
    private final Map<String, Registration> registrations = new ConcurrentHashMap<>();
    private final LeshanServer server;

    /** @param port 0 for any; @param identity null unless devices come with certificates */
    TestServer(boolean secured, int port, Identity identity, List<String> observed) {
        this.observed = observed;
        LeshanServerBuilder builder = new LeshanServerBuilder();
        builder.setSecurityStore(security);
        builder.setObjectModelProvider(new VersionedModelProvider(MODELS.all()));
        builder.disableQueueModeSupport();
        if (identity != null) {
            builder.setPrivateKey(identity.key());
            builder.setCertificateChain(new X509Certificate[] { identity.certificate() });
            builder.setTrustedCertificates(new X509Certificate[] { identity.authority() });
        }
        var endpoints = new CaliforniumServerEndpointsProvider.Builder(new CoapServerProtocolProvider(),
                new CoapsServerProtocolProvider());
        endpoints.setConfiguration(configuration -> {
            configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 6);
            configuration.set(DtlsConfig.DTLS_ROLE, DtlsConfig.DtlsRole.SERVER_ONLY);
        });
        endpoints.addEndpoint(new InetSocketAddress(InetAddress.getLoopbackAddress(), port),
                secured ? Protocol.COAPS : Protocol.COAP);
        CaliforniumServerEndpointsProvider provider = endpoints.build();
        builder.setEndpointsProviders(provider);
        server = builder.build();
        provider.getCoapServer().add(new Packages());
        server.getRegistrationService().addListener(new Registrations());
        server.getObservationService().addListener(new Observations());
        server.getSendService().addListener(new Sends());
        server.start();
    }

    static TestServer plain(String... observed) {
        return new TestServer(false, 0, null, List.of(observed));
    }

    URI uri() {
        var uri = server.getEndpoints().get(0).getURI();
        return URI.create(uri.getScheme() + "://127.0.0.1:" + uri.getPort());
    }

    /** Where a device fetches what is in {@link #packages} under a name. */
    String packageUri(String name) {
        return uri() + "/fw/" + name;
    }

    Registration registration(String endpoint) {
        return registrations.get(endpoint);
    }

    /** The answer, or null when there is none in the given time. */
    <T extends LwM2mResponse> T ask(String endpoint, DownlinkDeviceManagementRequest<T> request, Duration timeout)
            throws InterruptedException {
        return server.send(registration(endpoint), request, timeout.toMillis());
    }

    <T extends LwM2mResponse> T ask(String endpoint, DownlinkDeviceManagementRequest<T> request)
            throws InterruptedException {
        return ask(endpoint, request, PATIENCE);
    }

    /** Observes without waiting for the answer. */
    void observe(String endpoint, String path) {
        server.send(registration(endpoint), new ObserveRequest(path), response -> events.add("observed " + path),
                error -> events.add("not observed " + path));
    }

    /** Drops the registration, as after its expiry; the device is not told. */
    void forget(String endpoint) {
        server.getRegistrationStore().removeRegistration(registration(endpoint).getId());
    }

    List<Object> notified(String endpoint, String path) {
        List<Object> values = new ArrayList<>();
        for (Notified notification : List.copyOf(notifications)) {
            if (notification.endpoint().equals(endpoint) && notification.path().equals(path)) {
                values.add(notification.value());
            }
        }
        return values;
    }

    /** Waits for something that other threads bring about. */
    static void await(String what, BooleanSupplier condition) throws InterruptedException {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("waited in vain for: " + what);
            }
            TimeUnit.MILLISECONDS.sleep(5);
        }
    }

    @Override
    public void close() {
        server.destroy();
    }

    /** Serves packages by Block2. */
    private final class Packages extends CoapResource {
        Packages() {
            super("fw");
        }

        @Override
        public Resource getChild(String name) {
            return this;
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            var options = exchange.getRequestOptions();
            String name = options.getUriPathString().substring("fw/".length());
            byte[] content = packages.get(name);
            var principal = exchange.advanced().getRequest().getSourceContext().getPeerIdentity();
            fetched.add((principal == null ? "" : principal.getName()) + " " + name + " "
                    + (options.hasBlock2() ? options.getBlock2().getOffset() : 0));
            if (content == null) {
                exchange.respond(ResponseCode.NOT_FOUND);
                return;
            }
            exchange.respond(ResponseCode.CONTENT, content, MediaTypeRegistry.APPLICATION_OCTET_STREAM);
        }
    }

    private final class Registrations implements RegistrationListener {
        @Override
        public void registered(Registration registration, Registration previous,
                Collection<Observation> previousObservations) {
            registrations.put(registration.getEndpoint(), registration);
            events.add("registered " + registration.getEndpoint());
            for (String path : observed) {
                server.send(registration, new ObserveRequest(path), response -> events
                        .add("observed " + registration.getEndpoint() + " " + path + " " + response.getCode()),
                        error -> events.add("not observed " + registration.getEndpoint() + " " + path));
            }
        }

        @Override
        public void updated(RegistrationUpdate update, Registration updated, Registration previous) {
            registrations.put(updated.getEndpoint(), updated);
            events.add("updated " + updated.getEndpoint());
        }

        @Override
        public void unregistered(Registration registration, Collection<Observation> observations, boolean expired,
                Registration replacement) {
            events.add((replacement == null ? "unregistered " : "replaced ") + registration.getEndpoint());
        }
    }

    private final class Observations implements ObservationListener {
        @Override
        public void newObservation(Observation observation, Registration registration) {
            // the answer is an event of its own
        }

        @Override
        public void cancelled(Observation observation) {
            events.add("cancelled " + observation.getRegistrationId());
        }

        @Override
        public void onResponse(SingleObservation observation, Registration registration, ObserveResponse response) {
            LwM2mNode content = response.getContent();
            Object value = content instanceof LwM2mSingleResource single ? single.getValue() : content;
            notifications.add(new Notified(registration.getEndpoint(), observation.getPath().toString(), value));
        }

        @Override
        public void onResponse(CompositeObservation observation, Registration registration,
                ObserveCompositeResponse response) {
            notifications.add(new Notified(registration.getEndpoint(), "composite", response.getContent()));
        }

        @Override
        public void onError(Observation observation, Registration registration, Exception error) {
            events.add("notification error " + error);
        }
    }

    private final class Sends implements SendListener {
        @Override
        public void dataReceived(Registration registration, TimestampedLwM2mNodes data, SendRequest request) {
            for (Instant time : data.getTimestamps()) {
                data.getNodesAt(time).forEach((path, node) -> samples.add(new Sample(registration.getEndpoint(), time,
                        path, ((LwM2mSingleResource) node).getValue())));
            }
        }

        @Override
        public void onError(Registration registration, String message, Exception error) {
            events.add("send error " + message);
        }
    }
}
