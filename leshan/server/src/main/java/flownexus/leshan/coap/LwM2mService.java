package flownexus.leshan.coap;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.config.CoapConfig.TrackerMode;
import org.eclipse.californium.elements.auth.PreSharedKeyIdentity;
import org.eclipse.californium.elements.auth.RawPublicKeyIdentity;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.config.UdpConfig;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.response.ErrorCallback;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.ResponseCallback;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.LeshanServerBuilder;
import org.eclipse.leshan.server.registration.Deregistration;
import org.eclipse.leshan.server.registration.InMemoryRegistrationStore;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationListener;
import org.eclipse.leshan.server.registration.RegistrationServiceImpl;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.events.EventLog;
import flownexus.leshan.events.TransferProgress;
import flownexus.leshan.json.Json;
import flownexus.leshan.json.RegistrationWriter;
import flownexus.leshan.packages.GrantStore;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.presence.PresenceService;
import flownexus.leshan.security.Certificates;
import flownexus.leshan.security.ClientCertificateVerifier;
import flownexus.leshan.security.Credential;
import flownexus.leshan.security.CredentialStore;
import flownexus.leshan.security.DtlsGuard;
import flownexus.leshan.security.EndpointAuthorizer;
import flownexus.leshan.security.Refusals;
import flownexus.leshan.security.ServerIdentity;
import flownexus.models.ObjectModels;

/** The LwM2M server: Leshan, put together with our endpoints, rules and events. */
public final class LwM2mService {

    private static final Logger LOG = LoggerFactory.getLogger(LwM2mService.class);

    /**
     * Bounds a Send, a block-wise read and a block-wise notification; Californium's default of 8 KiB loses real ones. In
     * hexadecimal, as it is kept where it is not understood, it has less than 4 MiB: who reads events need take no more.
     */
    private static final int MAX_BODY_BYTES = (2 << 20) - (64 << 10);
    private static final int CONNECTION_ID_BYTES = 6;
    /** Some large uploads take a second to understand; on a small machine too others go on meanwhile. */
    private static final int MIN_PROTOCOL_THREADS = 4;
    private static final int READERS = 2;
    private static final int MAX_READS = 10_000;
    private static final long CLEAN_PERIOD_SECONDS = 2;
    private static final long CERTIFICATE_SWEEP_SECONDS = 20;

    /** Ordered by preference; CCM_8 is what constrained devices have. */
    private static final List<CipherSuite> CIPHER_SUITES = List.of(
            CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CCM, CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
            CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_GCM_SHA256, CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CCM_SHA256,
            CipherSuite.TLS_ECDHE_PSK_WITH_AES_128_CCM_8_SHA256, CipherSuite.TLS_PSK_WITH_AES_128_GCM_SHA256,
            CipherSuite.TLS_PSK_WITH_AES_128_CCM, CipherSuite.TLS_PSK_WITH_AES_128_CCM_8,
            CipherSuite.TLS_PSK_WITH_AES_128_CBC_SHA256);

    /**
     * What the service needs to know.
     *
     * @param coapsAddresses where DTLS is opened
     * @param coapAddresses where plain CoAP is opened; may be empty
     * @param lab whether unknown names are admitted over plain CoAP
     */
    public record Settings(ServerIdentity identity, List<InetSocketAddress> coapsAddresses,
            List<InetSocketAddress> coapAddresses, boolean lab) {
    }

    /** What devices are updated with, and who is told how far that is. */
    public record Firmware(PackageStore packages, GrantStore grants, TransferProgress progress) {
    }

    private final EventLog events;
    private final PresenceService presence;
    private final RegistrationWriter writer;
    private final InMemoryRegistrationStore store;
    private final DeviceEndpoints endpoints;
    private final LeshanServer server;
    private final RegistrationServiceImpl registrations;
    private final PackagePushes pushes;
    private final NearestModelProvider modelProvider;
    private final SampleDecoder decoder = new SampleDecoder();
    /** One payload at a time: it may be large, and there is no hurry. */
    private final Object decoding = new Object();
    /** Reads blocks that devices fetch, so that a slow disk holds up no protocol thread. */
    private final ExecutorService disk = new ThreadPoolExecutor(READERS, READERS, 0, TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(MAX_READS), task -> new Thread(task, "packages"));
    private final Set<String> revoking = ConcurrentHashMap.newKeySet();
    private final ScheduledExecutorService timer;
    private volatile boolean coapsOpen;

    /** @param timer for what happens later or again and again; must be the same as the presence service's */
    public LwM2mService(Settings settings, ObjectModels models, CredentialStore credentials, EventLog events,
            Refusals refusals, PresenceService presence, Firmware firmware, ScheduledExecutorService timer) {
        this.events = events;
        this.presence = presence;
        this.timer = timer;
        this.writer = new RegistrationWriter(presence::isSleeping);
        this.store = new InMemoryRegistrationStore(new ScheduledThreadPoolExecutor(1,
                task -> new Thread(task, "registrations")), CLEAN_PERIOD_SECONDS);
        Configuration configuration = configuration();
        EndpointAuthorizer authorizer = new EndpointAuthorizer(credentials, refusals, settings.lab());
        this.endpoints = new DeviceEndpoints(configuration, settings.coapsAddresses(), settings.coapAddresses(),
                dtls(configuration, settings.identity(), credentials, refusals), events, refusals,
                leshan -> new MessageWatch(leshan, events, presence::heard),
                (leshan, uplink) -> new PackageResource(firmware.packages(), disk, firmware.grants(), authorizer, refusals,
                        firmware.progress(), leshan.getRegistrationService()::getByEndpoint, registration -> {
                            presence.heard(registration.getClientTransportData().getIdentity());
                            uplink.alive(registration);
                        }));
        this.modelProvider = new NearestModelProvider(models);
        this.server = new LeshanServerBuilder()
                .setEndpointsProviders(endpoints)
                .setRegistrationStore(store)
                .setAuthorizer(authorizer)
                .setObjectModelProvider(modelProvider)
                .setEncoder(new DefaultLwM2mEncoder(false))
                .setDecoder(new PayloadGuard())
                .disableQueueModeSupport()
                .build();
        this.registrations = (RegistrationServiceImpl) server.getRegistrationService();
        this.pushes = new PackagePushes(firmware.packages(), firmware.progress(), store, endpoints, timer);
        registrations.addListener(new Listener());
        credentials.addListener(this::credentialChanged);
    }

    private static Configuration configuration() {
        Configuration configuration = new Configuration(SystemConfig.DEFINITIONS, CoapConfig.DEFINITIONS,
                UdpConfig.DEFINITIONS, DtlsConfig.DEFINITIONS);
        configuration.set(CoapConfig.MID_TRACKER, TrackerMode.NULL);
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, MAX_BODY_BYTES);
        configuration.set(CoapConfig.PROTOCOL_STAGE_THREAD_COUNT,
                Math.max(MIN_PROTOCOL_THREADS, Runtime.getRuntime().availableProcessors()));
        configuration.set(CoapConfig.PREFERRED_BLOCK_SIZE, 1024);
        configuration.set(CoapConfig.MAX_MESSAGE_SIZE, 1024);
        configuration.set(DtlsConfig.DTLS_ROLE, DtlsRole.SERVER_ONLY);
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, CONNECTION_ID_BYTES);
        configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
        configuration.set(DtlsConfig.DTLS_CIPHER_SUITES, CIPHER_SUITES);
        configuration.set(DtlsConfig.DTLS_REMOVE_STALE_DOUBLE_PRINCIPALS, false);
        return configuration;
    }

    private static DtlsConnectorConfig.Builder dtls(Configuration configuration, ServerIdentity identity,
            CredentialStore credentials, Refusals refusals) {
        DtlsGuard guard = new DtlsGuard(credentials, refusals);
        return DtlsConnectorConfig.builder(configuration)
                .setPskStore(guard)
                .setSessionListener(guard)
                .setCertificateIdentityProvider(new SingleCertificateProvider(identity.key(),
                        identity.chain().toArray(X509Certificate[]::new), CertificateType.X_509,
                        CertificateType.RAW_PUBLIC_KEY))
                .setCertificateVerifier(new ClientCertificateVerifier(identity.anchors(), credentials, refusals));
    }

    /** Opens plain CoAP, and everything but DTLS. */
    public void start() {
        server.start();
        timer.scheduleWithFixedDelay(() -> endExpired(Instant.now()), CERTIFICATE_SWEEP_SECONDS, CERTIFICATE_SWEEP_SECONDS,
                TimeUnit.SECONDS);
    }

    /** Opens DTLS, if it is not open. */
    public synchronized void openCoaps() {
        if (!coapsOpen) {
            endpoints.openCoaps();
            coapsOpen = true;
            LOG.info("coaps is open");
        }
    }

    public boolean isCoapsOpen() {
        return coapsOpen;
    }

    public void stop() {
        server.destroy();
        disk.shutdownNow();
    }

    public LeshanServer leshan() {
        return server;
    }

    public RegistrationWriter writer() {
        return writer;
    }

    /** The registration of an endpoint, or null. */
    public Registration registration(String endpoint) {
        return registrations.getByEndpoint(endpoint);
    }

    public Iterator<Registration> registrations() {
        return registrations.getAllRegistrations();
    }

    /** The models of a client's objects. */
    public LwM2mModel model(Registration registration) {
        return server.getModelProvider().getObjectModel(registration);
    }

    /**
     * Decodes with the models that are known now what a device sent at some time; the device need not be registered.
     *
     * @return writes the fields of the answer
     * @throws CodecException if nothing of it can be understood
     */
    public Json.Writer decode(String endpoint, StoredPayload payload) {
        Registration registration = registration(endpoint);
        LwM2mModel model;
        if (payload.versions() != null) {
            model = modelProvider.model(payload.versions());
        } else {
            model = registration == null ? modelProvider.newest() : model(registration);
        }
        String rootPath = payload.rootPath();
        if (rootPath == null && registration != null) {
            rootPath = registration.getRootPath();
        }
        SampleDecoder.Decoded decoded;
        synchronized (decoding) {
            decoded = decoder.decode(payload.octets(), payload.format(), rootPath, payload.paths(), model,
                    payload.received());
        }
        return json -> {
            json.writeStringField("ep", endpoint);
            DecodedWriter.write(json, decoded, decoded.samples());
            json.writeArrayFieldStart("errors");
            for (String error : decoded.errors()) {
                json.writeString(error);
            }
            json.writeEndArray();
        };
    }

    /** The paths of values in a device's answer whose types neither the answer nor a model told. */
    public List<LwM2mPath> guessed(Registration registration, LwM2mPath path, LwM2mResponse response) {
        return response instanceof ReadResponse read && read.getContent() != null
                && read.getCoapResponse() instanceof Response answer
                        ? UnknownTypes.of(path, read.getContent(), answer.getOptions(), model(registration))
                        : List.of();
    }

    public boolean isSleeping(Registration registration) {
        return presence.isSleeping(registration);
    }

    /** Sends a request without waiting; exactly one of the callbacks is run, on any thread. */
    public <T extends LwM2mResponse> void send(Registration registration, DownlinkDeviceManagementRequest<T> request,
            Transmission transmission, ResponseCallback<T> answered, ErrorCallback failed) {
        server.send(registration, request, transmission, transmission.timeoutMillis(), answered, failed);
    }

    /** Prepares to write a package to a device. */
    public PackagePush push(Registration registration, PackagePush.Plan plan, long timeoutMillis) {
        return pushes.create(registration, plan, timeoutMillis);
    }

    /** Sets a device's awake window; see {@link PresenceService#setWindow}. */
    public void setAwakeWindow(String endpoint, int seconds) throws IOException {
        presence.setWindow(endpoint, seconds);
    }

    private void credentialChanged(Credential before, Credential after) {
        if (before == null) {
            return;
        }
        Registration registration = registration(before.endpoint());
        String certificate = registration == null ? null
                : registration.getCustomRegistrationData().get(EndpointAuthorizer.CERTIFICATE);
        boolean stillGood = after != null && after.mode() == before.mode()
                && (after.equals(before) || after.mode() != Credential.Mode.PSK && after.mode() != Credential.Mode.RPK)
                && (certificate == null || after.accepts(certificate));
        endConnections(before, after);
        if (registration != null && !stillGood) {
            revoke(registration);
        }
    }

    /** Ends the DTLS connections that were made with a credential and may no longer be. */
    private void endConnections(Credential before, Credential after) {
        boolean sameKey = before.equals(after);
        for (DTLSConnector connector : endpoints.dtlsConnectors()) {
            connector.startTerminateConnectionsForPrincipal(principal -> {
                if (principal instanceof PreSharedKeyIdentity psk) {
                    return !sameKey && psk.getIdentity().equals(before.pskIdentity());
                }
                if (principal instanceof RawPublicKeyIdentity rpk) {
                    return !sameKey && rpk.getKey().equals(before.publicKey());
                }
                X509Certificate certificate = PeerIdentities.certificate(principal);
                if (certificate == null || !before.endpoint().equals(PeerIdentities.commonName(certificate))) {
                    return false;
                }
                return after == null || after.mode() != Credential.Mode.X509
                        || !after.accepts(Certificates.sha256(certificate));
            });
        }
    }

    private void revoke(Registration registration) {
        revoking.add(registration.getId());
        try {
            Deregistration removed = store.removeRegistration(registration.getId());
            if (removed != null) {
                registrations.fireUnregistered(removed.getRegistration(), removed.getObservations(), null);
            }
        } finally {
            revoking.remove(registration.getId());
        }
    }

    /** Ends connections and registrations whose certificates were valid when they were made and are not any more. */
    public void endExpired(Instant now) {
        try {
            Set<String> expired = ConcurrentHashMap.newKeySet();
            for (DTLSConnector connector : endpoints.dtlsConnectors()) {
                connector.startTerminateConnectionsForPrincipal(principal -> {
                    X509Certificate certificate = PeerIdentities.certificate(principal);
                    if (certificate == null || certificate.getNotAfter().toInstant().isAfter(now)) {
                        return false;
                    }
                    if (expired.add(Certificates.sha256(certificate))) {
                        timer.execute(() -> certificateExpired(certificate));
                    }
                    return true;
                });
            }
        } catch (RuntimeException e) {
            LOG.error("looking for expired certificates", e);
        }
    }

    private void certificateExpired(X509Certificate certificate) {
        Registration registration = registration(String.valueOf(PeerIdentities.commonName(certificate)));
        if (registration != null && Certificates.sha256(certificate)
                .equals(registration.getCustomRegistrationData().get(EndpointAuthorizer.CERTIFICATE))) {
            LOG.warn("the certificate of '{}' has expired: its connection is ended", registration.getEndpoint());
            revoke(registration);
        }
    }

    private final class Listener implements RegistrationListener {

        @Override
        public void registered(Registration registration, Registration previous, Collection<Observation> observations) {
            presence.registered(registration);
            events.publish("REGISTRATION", registration.getEndpoint(), peer(registration), json -> {
                json.writeStartObject();
                writer.writeFields(json, registration);
                json.writeNumberField("time", System.currentTimeMillis());
                json.writeEndObject();
            });
        }

        @Override
        public void updated(RegistrationUpdate update, Registration registration, Registration previous) {
            presence.updated(previous, registration);
            events.publish("UPDATED", registration.getEndpoint(), peer(registration), json -> {
                json.writeStartObject();
                json.writeFieldName("registration");
                writer.write(json, registration);
                json.writeFieldName("update");
                RegistrationWriter.write(json, update);
                json.writeNumberField("time", System.currentTimeMillis());
                json.writeEndObject();
            });
        }

        @Override
        public void unregistered(Registration registration, Collection<Observation> observations, boolean expired,
                Registration replacement) {
            presence.unregistered(registration);
            pushes.registrationEnded(registration);
            String reason = expired ? "expired" : "deregistered";
            if (replacement != null) {
                reason = "replaced";
            } else if (revoking.contains(registration.getId())) {
                reason = "revoked";
            }
            String why = reason;
            events.publish("DEREGISTRATION", registration.getEndpoint(), why, json -> {
                json.writeStartObject();
                writer.writeFields(json, registration);
                json.writeStringField("reason", why);
                json.writeNumberField("time", System.currentTimeMillis());
                json.writeEndObject();
            });
        }

        private String peer(Registration registration) {
            LwM2mIdentity identity = registration.getClientTransportData().getIdentity();
            return registration.getAddress().getHostAddress() + ":" + registration.getPort()
                    + (identity.isSecure() ? "" : " (plain CoAP)");
        }
    }
}
