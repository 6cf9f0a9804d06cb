package flownexus.fleet;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.util.Collection;
import java.util.List;

import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.config.CoapConfig;
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

    private volatile ServerInfo account;
    private LwM2mObjectTree tree;
    private CoapServer coapServer;
    private volatile LwM2mServer server;
    private volatile CaliforniumClientEndpoint endpoint;
    private volatile ClientEndpointToolbox toolbox;
    private boolean started;

    DeviceEndpoints(SharedThreads threads, Configuration configuration, Radio radio, int localPort,
            MessageInterceptor interceptor, TappedTranslator translator) {
        this.threads = threads;
        this.configuration = configuration;
        this.radio = radio;
        this.localPort = localPort;
        this.interceptor = interceptor;
        this.translator = translator;
    }

    @Override
    public void init(LwM2mObjectTree objectTree, DownlinkRequestReceiver receiver, NotificationManager notifications,
            ClientEndpointToolbox endpointToolbox) {
        toolbox = endpointToolbox;
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
            List<Certificate> trustStore, ClientEndpointToolbox endpointToolbox) {
        toolbox = endpointToolbox;
        CaliforniumClientEndpointFactory factory = info.isSecure() ? new SecuredFactory(radio, localPort)
                : new PlainFactory(radio, localPort);
        CoapEndpoint coapEndpoint = factory.createCoapEndpoint(new InetSocketAddress(0).getAddress(), configuration,
                info, clientInitiatedOnly, trustStore, toolbox);
        if (coapEndpoint == null) {
            return null;
        }
        coapEndpoint.addInterceptor(interceptor);
        identities.addIdentityHandler(coapEndpoint, factory.createIdentityHandler());
        account = info;
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
            List<Certificate> trustStore, ClientEndpointToolbox endpointToolbox) {
        ServerInfo only = infos.iterator().next();
        return List.of(createEndpoint(only, clientInitiatedOnly, trustStore, endpointToolbox));
    }

    /**
     * A second connection, with the credentials of the first, for a package; it leaves block-wise transfer to its user.
     *
     * @throws IllegalArgumentException there are no credentials for it, or the host is unknown
     */
    PackageDownload.Line line(URI uri, Radio ownRadio) {
        ServerInfo own = account(uri);
        CaliforniumClientEndpointFactory factory = own.isSecure() ? new SecuredFactory(ownRadio, 0)
                : new PlainFactory(ownRadio, 0);
        return new Line(factory, own, ownRadio);
    }

    /** Where a package is to be had, resolved. @throws IllegalArgumentException the host is unknown */
    static InetSocketAddress address(URI uri) {
        InetSocketAddress address = ServerInfo.getAddress(uri);
        if (address.isUnresolved()) {
            throw new IllegalArgumentException("the host " + uri.getHost() + " is unknown");
        }
        return address;
    }

    private ServerInfo account(URI uri) {
        ServerInfo known = account;
        boolean secured = "coaps".equals(uri.getScheme());
        if (secured && !known.isSecure()) {
            throw new IllegalArgumentException("there are no credentials for coaps");
        }
        // the certificate names the server as this device knows it, not the address that a URI may hold
        boolean same = address(uri).getAddress().equals(known.getAddress().getAddress());
        ServerInfo own = new ServerInfo();
        own.serverId = known.serverId;
        own.serverUri = URI.create(uri.getScheme() + "://" + (same ? known.serverUri : uri).getHost() + ":"
                + address(uri).getPort());
        own.secureMode = secured ? known.secureMode : SecurityMode.NO_SEC;
        own.certificateUsage = known.certificateUsage;
        own.pskId = known.pskId;
        own.pskKey = known.pskKey;
        own.clientCertificates = known.clientCertificates;
        own.serverCertificate = known.serverCertificate;
        own.privateKey = known.privateKey;
        own.sni = known.sni;
        return own;
    }

    private final class Line implements PackageDownload.Line {

        private final CaliforniumClientEndpointFactory factory;
        private final ServerInfo info;
        private final Radio ownRadio;
        private volatile CoapEndpoint opened;

        Line(CaliforniumClientEndpointFactory factory, ServerInfo info, Radio ownRadio) {
            this.factory = factory;
            this.info = info;
            this.ownRadio = ownRadio;
        }

        @Override
        public Endpoint open() throws IOException {
            Configuration single = new Configuration(configuration);
            single.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 0);
            CoapEndpoint made = factory.createCoapEndpoint(new InetSocketAddress(0).getAddress(), single, info, true,
                    null, toolbox);
            made.setExecutor(threads.protocol());
            made.start();
            opened = made;
            return made;
        }

        @Override
        public void mute() {
            ownRadio.set(false);
        }

        @Override
        public void close() {
            CoapEndpoint made = opened;
            if (made != null) {
                made.destroy();
            }
        }
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

        private final Radio used;
        private final int port;

        PlainFactory(Radio used, int port) {
            this.used = used;
            this.port = port;
        }

        @Override
        protected CoapEndpoint.Builder createEndpointBuilder(InetSocketAddress address, ServerInfo info,
                Configuration coapConfig, ClientEndpointToolbox tools) {
            return super.createEndpointBuilder(address, info, coapConfig, tools)
                    .setCoapStackFactory(PackageStack.FACTORY);
        }

        @Override
        protected Connector createConnector(InetSocketAddress address, Configuration coapConfig) {
            return new RadioUdpConnector(new InetSocketAddress(address.getAddress(), port), used);
        }
    }

    private final class SecuredFactory extends CoapsClientEndpointFactory {

        private final Radio used;
        private final int port;

        SecuredFactory(Radio used, int port) {
            this.used = used;
            this.port = port;
        }

        @Override
        protected CoapEndpoint.Builder createEndpointBuilder(DtlsConnectorConfig dtlsConfig, Configuration coapConfig,
                ClientEndpointToolbox tools) {
            return super.createEndpointBuilder(dtlsConfig, coapConfig, tools)
                    .setCoapStackFactory(PackageStack.FACTORY);
        }

        @Override
        protected DtlsConnectorConfig.Builder createEffectiveDtlsConnectorConfigBuilder(InetSocketAddress address,
                ServerInfo info, DtlsConnectorConfig.Builder root, Configuration coapConfig,
                boolean clientInitiatedOnly, List<Certificate> trustStore) {
            DtlsConnectorConfig.Builder builder = super.createEffectiveDtlsConnectorConfigBuilder(
                    new InetSocketAddress(address.getAddress(), port), info, root, coapConfig,
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
            RadioDtlsConnector connector = new RadioDtlsConnector(dtlsConfig, used);
            connector.setExecutor(threads.protocol());
            return connector;
        }
    }
}
