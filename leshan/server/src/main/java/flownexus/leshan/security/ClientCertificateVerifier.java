package flownexus.leshan.security;

import java.net.InetSocketAddress;
import java.security.GeneralSecurityException;
import java.security.PublicKey;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;

import javax.security.auth.x500.X500Principal;

import org.eclipse.californium.scandium.dtls.AlertMessage;
import org.eclipse.californium.scandium.dtls.AlertMessage.AlertDescription;
import org.eclipse.californium.scandium.dtls.AlertMessage.AlertLevel;
import org.eclipse.californium.scandium.dtls.CertificateMessage;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.CertificateVerificationResult;
import org.eclipse.californium.scandium.dtls.ConnectionId;
import org.eclipse.californium.scandium.dtls.HandshakeException;
import org.eclipse.californium.scandium.dtls.HandshakeResultHandler;
import org.eclipse.californium.scandium.dtls.x509.CertificateVerifier;
import org.eclipse.californium.scandium.util.ServerNames;

import flownexus.leshan.coap.PeerIdentities;
import flownexus.leshan.security.Refusals.Refusal;

/**
 * Accepts clients' X.509 certificates that our anchors have issued for clients, and the raw public keys that are provisioned;
 * says why it refuses others.
 */
public final class ClientCertificateVerifier implements CertificateVerifier {

    private static final String CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
    private static final String ANY_USAGE = "2.5.29.37.0";
    private static final int DIGITAL_SIGNATURE = 0;

    /** A refusal that has been reported already. */
    public static final class RefusedException extends HandshakeException {

        RefusedException(String reason, AlertDescription alert) {
            super(reason, new AlertMessage(AlertLevel.FATAL, alert));
        }
    }

    private final List<X509Certificate> anchors;
    private final CredentialStore credentials;
    private final Refusals refusals;

    public ClientCertificateVerifier(List<X509Certificate> anchors, CredentialStore credentials, Refusals refusals) {
        this.anchors = anchors;
        this.credentials = credentials;
        this.refusals = refusals;
    }

    @Override
    public List<CertificateType> getSupportedCertificateTypes() {
        return List.of(CertificateType.X_509, CertificateType.RAW_PUBLIC_KEY);
    }

    @Override
    public List<X500Principal> getAcceptedIssuers() {
        return List.of();  // a client of another CA then shows its certificate, and can be told why it is refused
    }

    @Override
    public void setResultHandler(HandshakeResultHandler resultHandler) {
        // results are given at once
    }

    @Override
    public CertificateVerificationResult verifyCertificate(ConnectionId connection, ServerNames serverNames,
            InetSocketAddress peer, boolean clientUsage, boolean verifySubject, boolean truncate,
            CertificateMessage message) {
        CertPath path = message.getCertificateChain();
        if (path == null) {
            PublicKey key = message.getPublicKey();
            return key != null && credentials.byPublicKey(key) != null
                    ? new CertificateVerificationResult(connection, key, null)
                    : refused(connection, peer, null, "raw public key that is not provisioned",
                            AlertDescription.BAD_CERTIFICATE);
        }
        List<X509Certificate> chain = path.getCertificates().stream().map(X509Certificate.class::cast).toList();
        if (chain.isEmpty()) {
            return refused(connection, peer, null, "no client certificate", AlertDescription.BAD_CERTIFICATE);
        }
        X509Certificate client = chain.get(0);
        try {
            validate(chain);
        } catch (CertPathValidatorException e) {
            if (e.getCause() instanceof CertificateExpiredException) {
                return refused(connection, peer, client,
                        "certificate expired on " + client.getNotAfter().toInstant(), AlertDescription.CERTIFICATE_EXPIRED);
            }
            if (e.getCause() instanceof CertificateNotYetValidException) {
                return refused(connection, peer, client, "certificate not valid before "
                        + client.getNotBefore().toInstant(), AlertDescription.CERTIFICATE_EXPIRED);
            }
            return refused(connection, peer, client, "certificate of another CA, or damaged ("
                    + String.valueOf(e.getMessage()).lines().findFirst().orElse("") + ")", AlertDescription.UNKNOWN_CA);
        } catch (GeneralSecurityException e) {
            return refused(connection, peer, client, "certificate cannot be checked: " + e.getMessage(),
                    AlertDescription.BAD_CERTIFICATE);
        }
        if (!isForClients(client)) {
            return refused(connection, peer, client,
                    "certificate is not for a client (wrong key usage: clientAuth is missing)",
                    AlertDescription.UNSUPPORTED_CERTIFICATE);
        }
        Credential credential = credentials.byEndpoint(String.valueOf(PeerIdentities.commonName(client)));
        if (credential != null && !credential.accepts(Certificates.sha256(client))) {
            return refused(connection, peer, client, "certificate is not (or no longer) one of this endpoint's",
                    AlertDescription.CERTIFICATE_REVOKED);
        }
        return new CertificateVerificationResult(connection, path, null);
    }

    private CertificateVerificationResult refused(ConnectionId connection, InetSocketAddress peer,
            X509Certificate certificate, String reason, AlertDescription alert) {
        Refusal refusal = Refusal.of(peer, reason).certificate(certificate).alert(alert.name().toLowerCase(Locale.ROOT));
        if (certificate != null) {
            refusal = refusal.endpoint(PeerIdentities.commonName(certificate));
        }
        refusals.report(refusal);
        return new CertificateVerificationResult(connection, new RefusedException(reason, alert));
    }

    /** RFC 5280 path validation with our anchors; a chain may or may not carry its anchor. */
    private void validate(List<X509Certificate> chain) throws GeneralSecurityException {
        List<X509Certificate> below = chain.stream().filter(certificate -> !anchors.contains(certificate)).toList();
        if (below.isEmpty()) {
            throw new CertificateException("a CA's certificate is not a client's");
        }
        PKIXParameters parameters = new PKIXParameters(
                anchors.stream().map(anchor -> new TrustAnchor(anchor, null)).collect(Collectors.toSet()));
        parameters.setRevocationEnabled(false);
        CertPath path = CertificateFactory.getInstance("X.509").generateCertPath(below);
        CertPathValidator.getInstance("PKIX").validate(path, parameters);
    }

    private static boolean isForClients(X509Certificate certificate) {
        boolean[] usage = certificate.getKeyUsage();
        if (usage != null && !usage[DIGITAL_SIGNATURE] || certificate.getBasicConstraints() >= 0) {
            return false;
        }
        try {
            List<String> purposes = certificate.getExtendedKeyUsage();
            return purposes == null || purposes.contains(CLIENT_AUTH) || purposes.contains(ANY_USAGE);
        } catch (CertificateException e) {
            return false;
        }
    }
}
