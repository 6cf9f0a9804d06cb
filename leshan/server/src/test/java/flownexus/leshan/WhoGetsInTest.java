package flownexus.leshan;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.http.HttpResponse;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.cert.X509Certificate;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

import javax.security.auth.x500.X500Principal;

import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.elements.Connector;
import org.eclipse.californium.elements.UDPConnector;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.config.UdpConfig;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.CertificateIdentityResult;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.ConnectionId;
import org.eclipse.californium.scandium.dtls.HandshakeResultHandler;
import org.eclipse.californium.scandium.dtls.SignatureAndHashAlgorithm;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite.CertificateKeyAlgorithm;
import org.eclipse.californium.scandium.dtls.cipher.XECDHECryptography.SupportedGroup;
import org.eclipse.californium.scandium.dtls.pskstore.SinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.CertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticCertificateVerifier;
import org.eclipse.californium.scandium.util.ServerNames;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import ch.qos.logback.classic.spi.ILoggingEvent;
import flownexus.leshan.security.Certificates;
import flownexus.leshan.security.Refusals;

/** Registrations with right and wrong proofs of identity: what happens, and what is said about it. */
class WhoGetsInTest {

    private static final byte[] KEY = { 1, 2, 3, 4, 5, 6, 7, 8 };

    @TempDir
    static Path folder;

    private static final CapturedLog LOG = new CapturedLog(Refusals.class);

    private static TestServer server;

    @BeforeAll
    static void start() throws Exception {
        server = new TestServer(folder, false);
        assertTrue(server.readyLine().endsWith("(coaps opens with the first credential)"), server.readyLine());
        server.provisionX509("known");
        assertTrue(server.readyLine().matches("ready: http://127.0.0.1:\\d+ coaps:\\d+ coap:\\d+"), server.readyLine());
    }

    @AfterAll
    static void end() {
        server.close();
        LOG.close();
    }

    private static final Configuration CONFIGURATION = new Configuration(SystemConfig.DEFINITIONS, CoapConfig.DEFINITIONS,
            UdpConfig.DEFINITIONS, DtlsConfig.DEFINITIONS)
            .set(DtlsConfig.DTLS_ROLE, DtlsRole.CLIENT_ONLY)
            .set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 0)
            .set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false)
            .set(DtlsConfig.DTLS_VERIFY_SERVER_CERTIFICATES_SUBJECT, false)
            .set(DtlsConfig.DTLS_RETRANSMISSION_TIMEOUT, 300, TimeUnit.MILLISECONDS)
            .set(DtlsConfig.DTLS_MAX_RETRANSMISSIONS, 2);

    private static Connector x509(TestPki.Issued issued) {
        SingleCertificateProvider provider = new SingleCertificateProvider(issued.key(),
                new X509Certificate[] { issued.certificate() }, CertificateType.X_509);
        // without the helper that keeps an honest client from using a wrong certificate
        return dtls(builder -> builder.setCertificateIdentityProvider(new CertificateProvider() {

            @Override
            public List<CertificateKeyAlgorithm> getSupportedCertificateKeyAlgorithms() {
                return provider.getSupportedCertificateKeyAlgorithms();
            }

            @Override
            public List<CertificateType> getSupportedCertificateTypes() {
                return provider.getSupportedCertificateTypes();
            }

            @Override
            public CertificateIdentityResult requestCertificateIdentity(ConnectionId connection, boolean client,
                    List<X500Principal> issuers, ServerNames serverNames, List<CertificateKeyAlgorithm> keyAlgorithms,
                    List<SignatureAndHashAlgorithm> signatures, List<SupportedGroup> groups) {
                return new CertificateIdentityResult(connection, issued.key(), List.of(issued.certificate()));
            }

            @Override
            public void setResultHandler(HandshakeResultHandler handler) {
                // results are given at once
            }
        }));
    }

    private static Connector psk(String identity, byte[] key) {
        return new DTLSConnector(DtlsConnectorConfig.builder(CONFIGURATION)
                .setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                .setPskStore(new SinglePskStore(identity, key)).build());
    }

    private static Connector dtls(Consumer<DtlsConnectorConfig.Builder> credentials) {
        DtlsConnectorConfig.Builder builder = DtlsConnectorConfig.builder(CONFIGURATION)
                .setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0))
                .setCertificateVerifier(StaticCertificateVerifier.builder().setTrustedCertificates(server.pki.ca)
                        .setTrustAllRPKs().build());
        credentials.accept(builder);
        return new DTLSConnector(builder.build());
    }

    /** The answer to a registration, or null if there was none. */
    private static ResponseCode register(Connector connector, String endpoint) throws Exception {
        CoapEndpoint client = CoapEndpoint.builder().setConfiguration(CONFIGURATION).setConnector(connector).build();
        client.start();
        try {
            Request request = Request.newPost();
            request.setURI((connector instanceof UDPConnector ? server.coap() : server.coaps()) + "/rd");
            request.getOptions().addUriQuery("ep=" + endpoint).addUriQuery("lt=300").addUriQuery("lwm2m=1.1")
                    .addUriQuery("b=U").setContentFormat(MediaTypeRegistry.APPLICATION_LINK_FORMAT);
            request.setPayload("</3/0>,</3303/0>");
            client.sendRequest(request);
            Response response = request.waitForResponse(5000);
            return response == null ? null : response.getCode();
        } finally {
            client.destroy();
        }
    }

    private static Connector udp() {
        return new UDPConnector(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), CONFIGURATION);
    }

    /** Registers and expects to be refused, with a line in the log that says so. */
    private static void refused(ResponseCode expected, Connector connector, String endpoint, String line) throws Exception {
        LOG.list.clear();
        assertEquals(expected, register(connector, endpoint));
        eventually("a line with: " + line + " in " + LOG.list, () -> LOG.list.stream().map(ILoggingEvent::getFormattedMessage)
                .anyMatch(text -> text.startsWith("refused 127.0.0.1:") && text.contains(line)));
        assertEquals(1, LOG.list.size(), () -> "one line, not " + LOG.list);
    }

    @Test
    void theRightCertificate() throws Exception {
        assertEquals(ResponseCode.CREATED, register(x509(server.pki.device("known")), "known"));
    }

    @Test
    void aCertificateOfAnotherCa() throws Exception {
        refused(null, x509(new TestPki("Other CA").device("known")), "known",
                "endpoint 'known' certificate 'CN=known': certificate of another CA");
    }

    @Test
    void aCertificateOfAnotherCaWithTheNameOfOurs() throws Exception {
        refused(null, x509(new TestPki("Test CA").device("known")), "known", "another CA, or damaged");
    }

    @Test
    void anExpiredCertificate() throws Exception {
        refused(null, x509(server.pki.issue("known", KeyPurposeId.id_kp_clientAuth, -7200, -3600)), "known",
                "certificate expired on");
    }

    @Test
    void aCertificateThatIsNotYetValid() throws Exception {
        refused(null, x509(server.pki.issue("known", KeyPurposeId.id_kp_clientAuth, 3600, 7200)), "known",
                "not valid before");
    }

    @Test
    void noCertificate() throws Exception {
        // what Scandium's client does with a certificate that is not for clients
        refused(null, x509(server.pki.issue("known", KeyPurposeId.id_kp_serverAuth, -60, 3600)), "known",
                "no client certificate");
    }

    @Test
    void theCertificateOfAnotherEndpoint() throws Exception {
        server.provisionX509("other");
        refused(ResponseCode.FORBIDDEN, x509(server.pki.device("other")), "known",
                "endpoint 'known' certificate 'CN=other': certificate is for 'other', not for this endpoint");
    }

    @Test
    void anEndpointThatIsNotProvisioned() throws Exception {
        refused(ResponseCode.FORBIDDEN, x509(server.pki.device("stranger")), "stranger", "endpoint is not provisioned");
    }

    @Test
    void aRawPublicKey() throws Exception {
        KeyPair keys = TestPki.keys();
        refused(null, dtls(builder -> builder.setCertificateIdentityProvider(
                new SingleCertificateProvider(keys.getPrivate(), keys.getPublic()))), "known", "raw public key");
        KeyPair own = TestPki.keys();
        server.provision("{'endpoint':'raw','tls':{'mode':'rpk','details':{'key':'"
                + HexFormat.of().formatHex(own.getPublic().getEncoded()) + "'}}}");
        assertEquals(ResponseCode.CREATED, register(rpk(own), "raw"));
        refused(ResponseCode.FORBIDDEN, rpk(own), "known", "endpoint is provisioned for x509, not for a raw public key");
        refused(null, rpk(keys), "raw", "raw public key that is not provisioned");
        server.call("DELETE", "/api/security/clients/raw", null);
        eventually("its registration is ended", () -> !server.registered("raw"));
        refused(null, rpk(own), "raw", "raw public key that is not provisioned");
    }

    private static Connector rpk(KeyPair keys) {
        // knows no certificates, so the server must prove itself with a raw key too
        return dtls(builder -> builder.setCertificateVerifier(StaticCertificateVerifier.builder().setTrustAllRPKs().build())
                .setCertificateIdentityProvider(new SingleCertificateProvider(keys.getPrivate(), keys.getPublic())));
    }

    @Test
    void plainCoap() throws Exception {
        refused(ResponseCode.FORBIDDEN, udp(), "known", "plain CoAP: endpoint is provisioned for x509");
        refused(ResponseCode.FORBIDDEN, udp(), "nobody", "plain CoAP: endpoint is not provisioned");
        server.provision("{'endpoint':'open','tls':{'mode':'nosec'}}");
        assertEquals(ResponseCode.CREATED, register(udp(), "open"));
    }

    @Test
    void preSharedKeys() throws Exception {
        server.provision("[{'endpoint':'shared','tls':{'mode':'psk','details':{'identity':'me','key':'0102030405060708'}}}]");
        assertEquals(ResponseCode.CREATED, register(psk("me", KEY), "shared"));

        refused(null, psk("who", KEY), "shared", "identity 'who': unknown PSK identity");
        refused(ResponseCode.FORBIDDEN, psk("me", KEY), "known", "provisioned for x509, not for a pre-shared key");
        refused(ResponseCode.FORBIDDEN, x509(server.pki.device("shared")), "shared", "provisioned for psk");
    }

    @Test
    void anInvalidRegistration() throws Exception {
        CoapEndpoint client = CoapEndpoint.builder().setConfiguration(CONFIGURATION)
                .setConnector(x509(server.pki.device("known"))).build();
        client.start();
        LOG.list.clear();
        try {
            for (String version : List.of("lwm2m=1.2", "lt=soon")) {
                Request request = Request.newPost();
                request.setURI(server.coaps() + "/rd");
                request.getOptions().addUriQuery("ep=known").addUriQuery(version);
                request.setPayload("</3/0>");
                client.sendRequest(request);
                assertTrue(request.waitForResponse(5000).isError());
            }
            eventually("both are explained", () -> LOG.list.size() == 2);
            assertTrue(LOG.list.get(0).getFormattedMessage().contains("endpoint 'known': registration answered 4.12"));
            assertTrue(LOG.list.get(1).getFormattedMessage().contains("4.00: lifetime"));
        } finally {
            client.destroy();
        }
    }

    @Test
    void onlyTheCertificatesThatAreNamed() throws Exception {
        TestPki.Issued first = server.pki.device("pinned");
        TestPki.Issued second = server.pki.device("pinned");
        server.provision("{'endpoint':'pinned','tls':{'mode':'x509','certificates':['"
                + Certificates.sha256(first.certificate()) + "']}}");
        assertEquals(ResponseCode.CREATED, register(x509(first), "pinned"));
        refused(null, x509(second), "pinned", "not (or no longer) one of this endpoint's");
    }

    @Test
    void revokingEndsTheRegistrationAndTheConnection() throws Exception {
        server.provisionX509("revoked");
        try (EventTail tail = new EventTail(server, "", null);
                TestDevice device = TestDevice.x509("revoked", server, server.pki.device("revoked"))) {
            tail.await("REGISTRATION", "revoked");
            assertEquals(200, server.call("DELETE", "/api/security/clients/revoked", null).statusCode());
            assertEquals("revoked", tail.await("DEREGISTRATION", "revoked").data().get("reason").asText());
            assertFalse(server.registered("revoked"));
            device.update();
            eventually("the device is told no", () -> LOG.list.stream()
                    .anyMatch(line -> line.getFormattedMessage().contains("endpoint 'revoked'")));
            // its goodbye would wait for an answer
            device.vanish();
        }
        assertEquals("{\"message\":\"not_found\"}", server.call("DELETE", "/api/security/clients/revoked", null).body());
    }

    @Test
    void aCertificateThatExpiresEndsTheRegistration() throws Exception {
        server.provisionX509("aging");
        try (EventTail tail = new EventTail(server, "", null);
                TestDevice ignored = TestDevice.x509("aging", server, server.pki.device("aging"))) {
            tail.await("REGISTRATION", "aging");
            server.application().lwm2m().endExpired(Instant.now());
            assertTrue(server.registered("aging"));
            server.application().lwm2m().endExpired(Instant.now().plus(2, ChronoUnit.DAYS));
            assertEquals("revoked", tail.await("DEREGISTRATION", "aging").data().get("reason").asText());
        }
    }

    @Test
    void aDeviceThatChangesItsPortWithinItsSessionIsFollowed() throws Exception {
        server.provisionX509("moving");
        CoapEndpoint client = CoapEndpoint.builder().setConfiguration(CONFIGURATION)
                .setConnector(x509(server.pki.device("moving"))).build();
        client.start();
        try (EventTail tail = new EventTail(server, "", null)) {
            Request register = Request.newPost();
            register.setURI(server.coaps() + "/rd");
            register.getOptions().addUriQuery("ep=moving").addUriQuery("lt=300").addUriQuery("lwm2m=1.1");
            register.setPayload("</3303/0>");
            client.sendRequest(register);
            assertEquals(ResponseCode.CREATED, register.waitForResponse(5000).getCode());
            String before = tail.await("REGISTRATION", "moving").data().get("address").asText();

            client.stop();
            client.start();
            Request send = Request.newPost();
            send.setURI(server.coaps() + "/dp");
            send.getOptions().setContentFormat(MediaTypeRegistry.APPLICATION_SENML_JSON);
            send.setPayload("[{\"n\":\"/3303/0/5700\",\"v\":1}]");
            client.sendRequest(send);
            assertEquals(ResponseCode.CHANGED, send.waitForResponse(5000).getCode());

            String after = tail.await("UPDATED", "moving").data().at("/registration/address").asText();
            assertFalse(after.equals(before), after);
            assertEquals(after, server.json("GET", "/api/clients/moving", null).get("address").asText());
            assertEquals(1, tail.events.stream().filter(event -> event.is("REGISTRATION", "moving")).count());
        } finally {
            client.destroy();
        }
    }

    @Test
    void keysAreNeverShown() throws Exception {
        server.provision("{'endpoint':'secret','tls':{'mode':'psk','details':{'identity':'s','key':'c0ffee'}}}");
        assertFalse(server.get("/api/security/clients").body().contains("c0ffee"));
        assertEquals(400, server.call("PUT", "/api/security/clients",
                "{\"endpoint\":\"x\",\"tls\":{\"mode\":\"psk\",\"details\":{\"identity\":\"s\",\"key\":\"00\"}}}")
                .statusCode());
        assertNull(server.http.send(server.request("/api/clients").build(),
                HttpResponse.BodyHandlers.ofString()).headers().firstValue("WWW-Authenticate").orElse(null));
    }
}
