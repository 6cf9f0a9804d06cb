package flownexus.leshan;

import java.nio.charset.StandardCharsets;
import java.security.cert.X509Certificate;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.engine.DefaultRegistrationEngineFactory;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.object.Server;
import org.eclipse.leshan.client.resource.BaseInstanceEnabler;
import org.eclipse.leshan.client.resource.ObjectsInitializer;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.LwM2mId;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.model.StaticModel;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.argument.Arguments;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;

import flownexus.models.ObjectModels;

/** A device made with Leshan's client: Device (3) and two Temperatures (3303). */
final class TestDevice implements AutoCloseable {

    /** An instance whose resources are what was put into it. */
    public static final class Instance extends BaseInstanceEnabler {

        final Map<Integer, Object> values = new ConcurrentHashMap<>();
        final AtomicInteger executed = new AtomicInteger();
        volatile String arguments = "";

        @Override
        public ReadResponse read(LwM2mServer server, int resource) {
            Object value = values.get(resource);
            if (value == null) {
                return ReadResponse.notFound();
            }
            if (value instanceof Map<?, ?> several) {
                @SuppressWarnings("unchecked")
                Map<Integer, Long> numbers = (Map<Integer, Long>) several;
                return ReadResponse.success(resource, numbers, Type.INTEGER);
            }
            if (value instanceof Double number) {
                return ReadResponse.success(resource, number);
            }
            return value instanceof Long number ? ReadResponse.success(resource, number)
                    : ReadResponse.success(resource, String.valueOf(value));
        }

        @Override
        public WriteResponse write(LwM2mServer server, boolean replace, int resource, LwM2mResource value) {
            values.put(resource, value.getValue());
            return WriteResponse.success();
        }

        @Override
        public ExecuteResponse execute(LwM2mServer server, int resource, Arguments given) {
            executed.incrementAndGet();
            arguments = String.valueOf(given);
            return ExecuteResponse.success();
        }

        @Override
        public List<Integer> getAvailableResourceIds(ObjectModel model) {
            return model.resources.keySet().stream().sorted().filter(id -> values.containsKey(id)
                    || model.resources.get(id).operations.isExecutable()).toList();
        }

        void set(int resource, Object value) {
            values.put(resource, value);
            fireResourceChange(resource);
        }
    }

    final Instance device = new Instance();
    final Instance thermometer = new Instance();
    final LeshanClient client;

    private TestDevice(String endpoint, Security security, boolean queueMode) {
        device.values.putAll(Map.of(0, "FlowNexus", 9, 80L, 7, Map.of(0, 3700L, 1, 5000L), 14, "+01", 16, "U", 11, Map.of(0, 0L)));
        thermometer.values.putAll(Map.of(5700, 21.5, 5701, "Cel"));
        Instance second = new Instance();
        second.setId(1);
        second.values.put(5700, -3.25);
        thermometer.setId(0);

        ObjectModels models = ObjectModels.load(List.of());
        ObjectModel[] chosen = { models.nearest(0, "1.1"), models.nearest(1, "1.1"), models.nearest(3, "1.1"),
                models.nearest(3303, "1.1") };
        ObjectsInitializer initializer = new ObjectsInitializer(new StaticModel(chosen));
        initializer.setInstancesForObject(LwM2mId.SECURITY, security);
        initializer.setInstancesForObject(LwM2mId.SERVER, new Server(123, 300, EnumSet.of(BindingMode.U), false,
                BindingMode.U));
        initializer.setInstancesForObject(LwM2mId.DEVICE, device);
        initializer.setInstancesForObject(3303, thermometer, second);

        CaliforniumClientEndpointsProvider.Builder endpoints = new CaliforniumClientEndpointsProvider.Builder(
                new CoapClientProtocolProvider(), new CoapsClientProtocolProvider());
        Configuration configuration = endpoints.createDefaultConfiguration();
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 0);
        configuration.set(CoapConfig.ACK_TIMEOUT, 500, TimeUnit.MILLISECONDS);
        endpoints.setConfiguration(configuration);

        DefaultRegistrationEngineFactory engine = new DefaultRegistrationEngineFactory();
        engine.setRequestTimeoutInMs(10_000).setDeregistrationTimeoutInMs(1_000).setQueueMode(queueMode);
        client = new LeshanClientBuilder(endpoint).setObjects(initializer.createAll())
                .setEndpointsProviders(endpoints.build()).setRegistrationEngineFactory(engine).build();
    }

    static TestDevice x509(String endpoint, TestServer server, TestPki.Issued identity) {
        X509Certificate trusted = server.serverCertificate();
        return new TestDevice(endpoint, Security.x509(server.coaps(), 123, TestPki.encoded(identity.certificate()),
                identity.key().getEncoded(), TestPki.encoded(trusted)), false).start();
    }

    static TestDevice psk(String endpoint, TestServer server, String identity, byte[] key, boolean queueMode) {
        return new TestDevice(endpoint, Security.psk(server.coaps(), 123, identity.getBytes(
                StandardCharsets.UTF_8), key), queueMode).start();
    }

    static TestDevice plain(String endpoint, TestServer server) {
        return new TestDevice(endpoint, Security.noSec(server.coap(), 123), false).start();
    }

    private TestDevice start() {
        client.start();
        return this;
    }

    /** The server that it is registered at, once it has the answer to its Register. */
    LwM2mServer server() {
        Eventually.eventually("the device knows that it is registered", () -> !client.getRegisteredServers().isEmpty());
        return client.getRegisteredServers().values().iterator().next();
    }

    /** Sends an Update; the client takes no such wish before it has the answer to its Register. */
    void update() {
        client.triggerRegistrationUpdate(server());
    }

    /** Ends without a word to the server. */
    void vanish() {
        client.destroy(false);
    }

    @Override
    public void close() {
        client.destroy(true);
    }
}
