package flownexus.leshan.security;

import static flownexus.leshan.Eventually.eventually;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.util.List;

import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.eclipse.californium.scandium.dtls.AlertMessage.AlertDescription;
import org.eclipse.californium.scandium.dtls.CertificateMessage;
import org.eclipse.californium.scandium.dtls.CertificateVerificationResult;
import org.eclipse.californium.scandium.dtls.ConnectionId;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import flownexus.leshan.TestPki;
import flownexus.leshan.events.EventLog;
import flownexus.leshan.journal.Journal;

class ClientCertificateVerifierTest {

    @TempDir
    Path folder;

    private final TestPki pki = new TestPki("Test CA");
    private Journal journal;
    private ClientCertificateVerifier verifier;

    @BeforeEach
    void open() throws IOException {
        journal = Journal.open(folder.resolve("journal"), 1 << 20);
        CredentialStore credentials = new CredentialStore(folder.resolve("credentials.json"));
        verifier = new ClientCertificateVerifier(List.of(pki.ca), credentials, new Refusals(new EventLog(journal)));
    }

    @AfterEach
    void close() throws IOException {
        journal.close();
    }

    private CertificateVerificationResult verify(X509Certificate... chain) {
        return verifier.verifyCertificate(new ConnectionId(new byte[] { 1 }), null,
                new InetSocketAddress("192.0.2.1", 5684), true, false, true, new CertificateMessage(List.of(chain)));
    }

    private void refuses(AlertDescription alert, String reason, X509Certificate... chain) {
        CertificateVerificationResult result = verify(chain);
        assertNotNull(result.getException());
        assertEquals(alert, result.getException().getAlert().getDescription());
        eventually("an event", () -> journal.last() == 1);
        String event = new String(journal.read(0, 1).get(0).data(), StandardCharsets.UTF_8);
        assertEquals(true, event.contains(reason), event);
    }

    @Test
    void acceptsADevicesCertificateWithOrWithoutItsAnchor() {
        X509Certificate device = pki.device("d").certificate();
        assertNull(verify(device).getException());
        assertNull(verify(device, pki.ca).getException());
        assertNotNull(verify(device).getCertificatePath());
    }

    @Test
    void refusesAServersCertificate() {
        refuses(AlertDescription.UNSUPPORTED_CERTIFICATE, "clientAuth is missing", pki.server().certificate());
    }

    @Test
    void refusesACertificateForOtherPurposes() {
        refuses(AlertDescription.UNSUPPORTED_CERTIFICATE, "clientAuth is missing",
                pki.issue("d", KeyPurposeId.id_kp_codeSigning, -60, 60).certificate());
    }

    @Test
    void refusesTheAnchorItself() {
        refuses(AlertDescription.BAD_CERTIFICATE, "a CA's certificate is not a client's", pki.ca);
    }

    @Test
    void refusesAnotherCasCertificateEvenWithItsAnchor() {
        TestPki other = new TestPki("Other CA");
        refuses(AlertDescription.UNKNOWN_CA, "another CA", other.device("d").certificate(), other.ca);
    }

    @Test
    void refusesAnExpiredOne() {
        refuses(AlertDescription.CERTIFICATE_EXPIRED, "certificate expired on",
                pki.issue("d", KeyPurposeId.id_kp_clientAuth, -120, -60).certificate());
    }
}
