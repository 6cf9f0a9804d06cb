package flownexus.leshan.coap;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.BiFunction;
import java.util.function.Function;

import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.Endpoint;
import org.eclipse.californium.core.network.InMemoryMessageExchangeStore;
import org.eclipse.californium.core.network.RandomTokenGenerator;
import org.eclipse.californium.core.network.TokenGenerator;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.core.network.serialization.UdpDataParser;
import org.eclipse.californium.core.network.serialization.UdpDataSerializer;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.californium.elements.Connector;
import org.eclipse.californium.elements.UDPConnector;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.leshan.core.endpoint.EndpointUri;
import org.eclipse.leshan.core.endpoint.Protocol;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.ObservationIdentifier;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.endpoint.EffectiveEndpointUriProvider;
import org.eclipse.leshan.server.endpoint.LwM2mServerEndpoint;
import org.eclipse.leshan.server.endpoint.LwM2mServerEndpointsProvider;
import org.eclipse.leshan.server.endpoint.ServerEndpointToolbox;
import org.eclipse.leshan.server.observation.LwM2mNotificationReceiver;
import org.eclipse.leshan.server.profile.ClientProfile;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationServiceImpl;
import org.eclipse.leshan.server.request.UplinkDeviceManagementRequestReceiver;
import org.eclipse.leshan.servers.security.ServerSecurityInfo;
import org.eclipse.leshan.transport.californium.DefaultCoapsExceptionTranslator;
import org.eclipse.leshan.transport.californium.DefaultExceptionTranslator;
import org.eclipse.leshan.transport.californium.ObserveUtil;
import org.eclipse.leshan.transport.californium.identity.IdentityHandlerProvider;
import org.eclipse.leshan.transport.californium.server.RootResource;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpoint;
import org.eclipse.leshan.transport.californium.server.endpoint.ServerCoapMessageTranslator;
import org.eclipse.leshan.transport.californium.server.observation.LwM2mObservationStore;
import org.eclipse.leshan.transport.californium.server.observation.ObservationSerDes;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.StartException;
import flownexus.leshan.Timers;
import flownexus.leshan.events.EventLog;
import flownexus.leshan.security.Refusals;

/**
 * The CoAP side: sockets, DTLS, and the resources that devices use. In place of Leshan's provider, so that what devices send
 * is acknowledged when it is stored, decoded once, and by our rules.
 */
public final class DeviceEndpoints implements LwM2mServerEndpointsProvider {

    private static final Logger LOG = LoggerFactory.getLogger(DeviceEndpoints.class);

    private record Opened(CaliforniumServerEndpoint endpoint, InetSocketAddress address) {

        boolean secure() {
            return endpoint.getProtocol() == Protocol.COAPS;
        }
    }

    private final Configuration configuration;
    private final List<InetSocketAddress> coapsAddresses;
    private final List<InetSocketAddress> coapAddresses;
    private final DtlsConnectorConfig.Builder dtls;
    private final EventLog events;
    private final Refusals refusals;
    private final Function<LeshanServer, MessageInterceptor> watch;
    private final BiFunction<LeshanServer, Uplink, Resource> packages;
    private final PeerIdentities identities = new PeerIdentities();
    private final ServerCoapMessageTranslator translator = new ServerCoapMessageTranslator();
    private final ScheduledExecutorService timeouts = Timers.create("request-timeouts");
    private final List<Opened> endpoints = new ArrayList<>();
    private CoapServer coapServer;
    private Uplink uplink;

    /**
     * @param dtls a builder with keys and verifiers but no address
     * @param watch makes what sees every message
     * @param packages makes what devices fetch packages from
     */
    DeviceEndpoints(Configuration configuration, List<InetSocketAddress> coapsAddresses,
            List<InetSocketAddress> coapAddresses, DtlsConnectorConfig.Builder dtls, EventLog events, Refusals refusals,
            Function<LeshanServer, MessageInterceptor> watch, BiFunction<LeshanServer, Uplink, Resource> packages) {
        this.configuration = configuration;
        this.coapsAddresses = coapsAddresses;
        this.coapAddresses = coapAddresses;
        this.dtls = dtls;
        this.events = events;
        this.refusals = refusals;
        this.watch = watch;
        this.packages = packages;
    }

    @Override
    public List<LwM2mServerEndpoint> getEndpoints() {
        return Collections.unmodifiableList(endpoints.stream().map(Opened::endpoint).toList());
    }

    @Override
    public CaliforniumServerEndpoint getEndpoint(EndpointUri uri) {
        return endpoints.stream().map(Opened::endpoint).filter(endpoint -> endpoint.getURI().equals(uri)).findFirst()
                .orElse(null);
    }

    /** The DTLS connectors, e.g. to end connections. */
    List<DTLSConnector> dtlsConnectors() {
        return endpoints.stream().map(opened -> opened.endpoint.getCoapEndpoint().getConnector())
                .filter(DTLSConnector.class::isInstance).map(DTLSConnector.class::cast).toList();
    }

    @Override
    public void createEndpoints(UplinkDeviceManagementRequestReceiver requestReceiver,
            LwM2mNotificationReceiver observations, ServerEndpointToolbox toolbox, ServerSecurityInfo securityInfo,
            LeshanServer server) {
        coapServer = new CoapServer(configuration) {
            @Override
            protected RootResource createRoot() {
                return new RootResource();
            }
        };
        uplink = new Uplink(events, (RegistrationServiceImpl) server.getRegistrationService());
        MessageInterceptor interceptor = watch.apply(server);
        IdentityHandlerProvider identityProvider = new IdentityHandlerProvider();
        for (InetSocketAddress address : coapAddresses) {
            add(address, Protocol.COAP, new UDPConnector(address, configuration), observations, toolbox, server,
                    interceptor, identityProvider);
        }
        for (InetSocketAddress address : coapsAddresses) {
            DtlsConnectorConfig config = DtlsConnectorConfig.builder(dtls.getIncompleteConfig()).setAddress(address)
                    .build();
            add(address, Protocol.COAPS, new DTLSConnector(config), observations, toolbox, server, interceptor,
                    identityProvider);
        }
        coapServer.add(
                new ReportingRegisterResource(requestReceiver, toolbox.getLinkParser(), identityProvider,
                        toolbox.getUriHandler(), refusals),
                new SendResource(toolbox.getProfileProvider(), identities, uplink), packages.apply(server, uplink));
    }

    private void add(InetSocketAddress address, Protocol protocol, Connector connector,
            LwM2mNotificationReceiver observations, ServerEndpointToolbox toolbox, LeshanServer server,
            MessageInterceptor interceptor, IdentityHandlerProvider identityProvider) {
        EffectiveEndpointUriProvider uri = new EffectiveEndpointUriProvider();
        boolean secure = protocol == Protocol.COAPS;
        TokenGenerator tokens = new RandomTokenGenerator(configuration);
        InMemoryMessageExchangeStore exchanges = new InMemoryMessageExchangeStore(protocol.getUriScheme(), configuration,
                tokens);
        exchanges.setDeduplicator(new KnownMessages(configuration));
        CoapEndpoint.Builder builder = CoapEndpoint.builder()
                .setConnector(connector)
                .setTokenGenerator(tokens)
                .setMessageExchangeStore(exchanges)
                .setConfiguration(configuration)
                .setLoggingTag("[" + protocol.getUriScheme() + "]")
                .setObservationStore(new LwM2mObservationStore(uri, server.getRegistrationStore(), observations,
                        new ObservationSerDes(new UdpDataParser(), new UdpDataSerializer())))
                .setCoapStackFactory((name, tag, config, matcher, outbox, argument) -> new CommitStack(tag, config, matcher,
                        outbox));
        if (secure) {
            builder.setEndpointContextMatcher(new PeerIdentities.Matcher());
        }
        CoapEndpoint coapEndpoint = builder.build();
        identityProvider.addIdentityHandler(coapEndpoint, identities);
        CaliforniumServerEndpoint endpoint = new CaliforniumServerEndpoint(protocol,
                secure ? "CoAP over DTLS (Californium, Scandium)" : "CoAP over UDP (Californium)", coapEndpoint, translator,
                toolbox, observations, identities,
                secure ? new DefaultCoapsExceptionTranslator() : new DefaultExceptionTranslator(), timeouts);
        uri.setEndpoint(endpoint);
        coapEndpoint.addNotificationListener((request, response) -> notified(endpoint, request, response, server));
        coapEndpoint.addInterceptor(interceptor);
        endpoints.add(new Opened(endpoint, address));
    }

    private void notified(CaliforniumServerEndpoint endpoint, Request request, Response response, LeshanServer server) {
        String registrationId = request.getUserContext().get(ObserveUtil.CTX_REGID);
        Observation observation = server.getRegistrationStore().getObservation(registrationId,
                new ObservationIdentifier(endpoint.getURI(), response.getToken().getBytes()));
        Registration registration = server.getRegistrationStore().getRegistration(registrationId);
        if (observation == null || registration == null) {
            LOG.debug("a notification of an observation that has ended meanwhile, from {}", response.getSourceContext());
            return;
        }
        if (uplink.overloaded()) {
            HeldAcknowledgement.take();  // and never send it: the device will repeat the notification
            return;
        }
        ClientProfile profile = new ClientProfile(registration, server.getModelProvider().getObjectModel(registration));
        uplink.notification(observation, profile, identities.getIdentity(response), response);
    }

    /** Opens plain CoAP; DTLS is opened by {@link #openCoaps()}. */
    @Override
    public void start() {
        endpoints.stream().filter(opened -> !opened.secure()).forEach(opened -> coapServer
                .addEndpoint(opened.endpoint.getCoapEndpoint()));
        if (!coapServer.getEndpoints().isEmpty()) {
            startEndpoints();
        }
        endpoints.stream().filter(opened -> !opened.secure()).forEach(DeviceEndpoints::checkOpen);
    }

    /**
     * Opens DTLS.
     *
     * @throws StartException if a port is not free
     */
    synchronized void openCoaps() {
        List<Opened> secure = endpoints.stream().filter(Opened::secure).toList();
        secure.forEach(opened -> coapServer.addEndpoint(opened.endpoint.getCoapEndpoint()));
        startEndpoints();
        secure.forEach(DeviceEndpoints::checkOpen);
    }

    private void startEndpoints() {
        try {
            coapServer.start();
        } catch (IllegalStateException e) {
            LOG.debug("not one endpoint could be opened", e);  // which and why is said by checkOpen
        }
        // a server that runs already does not start what was added later
        for (Endpoint endpoint : coapServer.getEndpoints()) {
            if (!endpoint.isStarted()) {
                try {
                    endpoint.start();
                } catch (IOException e) {
                    LOG.debug("{} could not be opened", endpoint.getUri(), e);
                }
            }
        }
    }

    private static void checkOpen(Opened opened) {
        if (!opened.endpoint.getCoapEndpoint().isStarted()) {
            String scheme = opened.endpoint.getProtocol().getUriScheme();
            throw new StartException("%s port %d cannot be opened on %s: is another process using it? (--%s-port)"
                    .formatted(scheme, opened.address.getPort(), opened.address.getHostString(), scheme));
        }
    }

    @Override
    public void stop() {
        coapServer.stop();
    }

    @Override
    public void destroy() {
        timeouts.shutdownNow();
        coapServer.destroy();
    }
}
