package flownexus.fleet;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.util.Collection;
import java.util.List;

import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.Endpoint;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.californium.elements.Connector;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.leshan.client.endpoint.ClientEndpointToolbox;
import org.eclipse.leshan.client.endpoint.LwM2mClientEndpoint;
import org.eclipse.leshan.client.endpoint.LwM2mClientEndpointsProvider;
import org.eclipse.leshan.client.notification.NotificationDataStore;
import org.eclipse.leshan.client.notification.NotificationManager;
import org.eclipse.leshan.client.request.DownlinkRequestReceiver;
import org.eclipse.leshan.client.resource.LwM2mObjectTree;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.client.servers.ServerInfo;
import org.eclipse.leshan.core.SecurityMode;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.PskIdentity;
import org.eclipse.leshan.core.peer.X509Identity;
import org.eclipse.leshan.core.security.certificate.verifier.X509CertificateVerifier;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpoint;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointFactory;
import org.eclipse.leshan.transport.californium.client.endpoint.ServerIdentityExtractor;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientEndpointFactory;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientEndpointFactory;
import org.eclipse.leshan.transport.californium.identity.IdentityHandlerProvider;
import org.eclipse.leshan.transport.californium.security.LwM2mCertificateVerifier;

/**
 * The CoAP side of one device: one endpoint to one server, on the fleet's shared threads and the device's
 * {@link Radio}. Leshan's own provider has a thread for each client.
 */
final class DeviceEndpoints implements LwM2mClientEndpointsProvider {

    private final SharedThreads threads;
    private final Configuration configuration;
    private final Radio radio;
    private final int localPort;
    private final MessageInterceptor interceptor;
    private final TappedTranslator translator;
    private final IdentityHandlerProvider identities = new IdentityHandlerProvider();

    private LwM2mObjectTree tree;
    private CoapServer coapServer;
    private volatile LwM2mServer server;
    private volatile CaliforniumClientEndpoint endpoint;
    private boolean started;

    DeviceEndpoints(SharedThreads threads, Configuration configuration, Radio radio, int localPort,
            MessageInterceptor interceptor, RequestGate gate) {
        this.threads = threads;
        this.configuration = configuration;
        this.radio = radio;
        this.localPort = localPort;
        this.interceptor = interceptor;
        this.translator = new TappedTranslator(gate);
    }

    @Override
    public void init(LwM2mObjectTree objectTree, DownlinkRequestReceiver receiver, NotificationManager notifications,
            ClientEndpointToolbox toolbox) {
        tree = objectTree;
        // one endpoint, one server: DTLS has proved who it is; on plain CoAP only its address can tell
        ServerIdentityExtractor extractor = (exchange, peer) -> {
            CaliforniumClientEndpoint current = endpoint;
            LwM2mServer known = server;
            if (current == null || exchange.getEndpoint() != current.getCoapEndpoint()) {
                return null;
            }
            IpPeer expected = (IpPeer) known.getTransportData();
            boolean secured = radioIsSecured(expected.getIdentity());
            return secured || expected.getSocketAddress().equals(peer.getSocketAddress()) ? known : null;
        };
        coapServer = new CoapServer(configuration) {
            @Override
            protected Resource createRoot() {
                return translator.createRootResource(this, identities, extractor, receiver, toolbox, tree);
            }
        };
        coapServer.setExecutor(threads.protocol(), true);
        NotificationManager conditional = new NotificationManager(tree, receiver, new NotificationDataStore(),
                ValueConditions.strategy(), threads.timers());
        List<Resource> resources = translator.createResources(coapServer, identities, extractor, receiver, conditional,
                toolbox, tree);
        coapServer.add(resources.toArray(Resource[]::new));
    }

    private static boolean radioIsSecured(LwM2mIdentity identity) {
        return identity instanceof PskIdentity || identity instanceof X509Identity;
    }

    @Override
    public synchronized LwM2mServer createEndpoint(ServerInfo info, boolean clientInitiatedOnly,
            List<Certificate> trustStore, ClientEndpointToolbox toolbox) {
        CaliforniumClientEndpointFactory factory = info.isSecure() ? new SecuredFactory() : new PlainFactory();
        CoapEndpoint coapEndpoint = factory.createCoapEndpoint(new InetSocketAddress(0).getAddress(), configuration,
                info, clientInitiatedOnly, trustStore, toolbox);
        if (coapEndpoint == null) {
            return null;
        }
        coapEndpoint.addInterceptor(interceptor);
        identities.addIdentityHandler(coapEndpoint, factory.createIdentityHandler());
        server = new LwM2mServer(peer(info), info.serverId, info.serverUri);
        endpoint = new CaliforniumClientEndpoint(factory.getProtocol(), factory.getEndpointDescription(), coapEndpoint,
                translator, toolbox, identities.getIdentityHandler(coapEndpoint),
                factory.createConnectionController(), tree.getModel(), factory.createExceptionTranslator(),
                threads.timers());
        coapServer.addEndpoint(coapEndpoint);
        if (started) {
            coapServer.start();
        }
        return server;
    }

    private static IpPeer peer(ServerInfo info) {
        if (info.secureMode == SecurityMode.PSK) {
            return new IpPeer(info.getAddress(), info.sni, new PskIdentity(info.pskId));
        }
        if (info.secureMode == SecurityMode.X509) {
            return new IpPeer(info.getAddress(), info.sni, new X509Identity("*"));
        }
        return new IpPeer(info.getAddress());
    }

    @Override
    public Collection<LwM2mServer> createEndpoints(Collection<? extends ServerInfo> infos, boolean clientInitiatedOnly,
            List<Certificate> trustStore, ClientEndpointToolbox toolbox) {
        ServerInfo only = infos.iterator().next();
        return List.of(createEndpoint(only, clientInitiatedOnly, trustStore, toolbox));
    }

    /** Ends every observation, without a word to the server. */
    void forgetObservations() {
        forgetObservations(coapServer.getRoot());
        coapServer.getRoot().getChildren().forEach(DeviceEndpoints::forgetObservations);
    }

    private static void forgetObservations(Resource resource) {
        if (resource instanceof CoapResource coapResource) {
            coapResource.clearObserveRelations();
        }
    }

    /** Where the device listens; null before it started. */
    InetSocketAddress localAddress() {
        CaliforniumClientEndpoint current = endpoint;
        return current == null ? null : current.getCoapEndpoint().getAddress();
    }

    @Override
    public synchronized void destroyEndpoints() {
        identities.clear();
        for (Endpoint each : coapServer.getEndpoints()) {
            coapServer.getEndpoints().remove(each);
            each.destroy();
        }
        endpoint = null;
        server = null;
    }

    @Override
    public LwM2mClientEndpoint getEndpoint(LwM2mServer of) {
        return server != null && server.equals(of) ? endpoint : null;
    }

    @Override
    public List<LwM2mClientEndpoint> getEndpoints() {
        CaliforniumClientEndpoint current = endpoint;
        return current == null ? List.of() : List.of(current);
    }

    @Override
    public synchronized void start() {
        started = true;
        if (!coapServer.getEndpoints().isEmpty()) {
            coapServer.start();
        }
    }

    @Override
    public synchronized void stop() {
        started = false;
        coapServer.stop();
    }

    @Override
    public synchronized void destroy() {
        started = false;
        coapServer.destroy();
    }

    private final class PlainFactory extends CoapClientEndpointFactory {
        @Override
        protected Connector createConnector(InetSocketAddress address, Configuration coapConfig) {
            return new RadioUdpConnector(new InetSocketAddress(address.getAddress(), localPort), radio);
        }
    }

    private final class SecuredFactory extends CoapsClientEndpointFactory {

        @Override
        protected DtlsConnectorConfig.Builder createEffectiveDtlsConnectorConfigBuilder(InetSocketAddress address,
                ServerInfo info, DtlsConnectorConfig.Builder root, Configuration coapConfig,
                boolean clientInitiatedOnly, List<Certificate> trustStore) {
            DtlsConnectorConfig.Builder builder = super.createEffectiveDtlsConnectorConfigBuilder(
                    new InetSocketAddress(address.getAddress(), localPort), info, root, coapConfig,
                    clientInitiatedOnly, trustStore);
            if (info.secureMode == SecurityMode.X509) {
                builder.setCertificateVerifier(new LwM2mCertificateVerifier(
                        byGivenName(info, certificateVerifierFactory.create(info, trustStore))));
            }
            return builder;
        }

        /**
         * Leshan asks the peer's address for its name, which for an IP literal is a DNS query in the middle of the
         * handshake. The name to check is the one that the user gave.
         */
        private X509CertificateVerifier byGivenName(ServerInfo info, X509CertificateVerifier verifier) {
            String host = info.serverUri.getHost().replaceAll("[\\[\\]]", "");
            return (chain, peer, role) -> {
                try {
                    InetAddress named = InetAddress.getByAddress(host, peer.getAddress().getAddress());
                    return verifier.verifyCertificate(chain, new InetSocketAddress(named, peer.getPort()), role);
                } catch (UnknownHostException e) {
                    throw new CertificateException(e);
                }
            };
        }

        @Override
        protected Connector createSecuredConnector(DtlsConnectorConfig dtlsConfig) {
            RadioDtlsConnector connector = new RadioDtlsConnector(dtlsConfig, radio);
            connector.setExecutor(threads.protocol());
            return connector;
        }
    }
}
