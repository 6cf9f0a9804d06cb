package flownexus.leshan.security;

import java.net.InetSocketAddress;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

import javax.crypto.SecretKey;

import org.eclipse.californium.elements.auth.PreSharedKeyIdentity;
import org.eclipse.californium.scandium.dtls.AlertMessage.AlertDescription;
import org.eclipse.californium.scandium.dtls.ConnectionId;
import org.eclipse.californium.scandium.dtls.DtlsHandshakeTimeoutException;
import org.eclipse.californium.scandium.dtls.HandshakeException;
import org.eclipse.californium.scandium.dtls.HandshakeResultHandler;
import org.eclipse.californium.scandium.dtls.Handshaker;
import org.eclipse.californium.scandium.dtls.PskPublicInformation;
import org.eclipse.californium.scandium.dtls.PskSecretResult;
import org.eclipse.californium.scandium.dtls.SessionAdapter;
import org.eclipse.californium.scandium.dtls.pskstore.PskStore;
import org.eclipse.californium.scandium.util.SecretUtil;
import org.eclipse.californium.scandium.util.ServerNames;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.security.Refusals.Refusal;

/** Gives DTLS the pre-shared keys, and says why a handshake failed (what the certificate verifier refuses, it says itself). */
public final class DtlsGuard extends SessionAdapter implements PskStore {

    private static final Logger LOG = LoggerFactory.getLogger(DtlsGuard.class);

    private static final int REMEMBERED = 10_000;
    private static final String RECEIVED_ALERT = "Received 'fatal alert/";

    private final CredentialStore credentials;
    private final Refusals refusals;
    /** Peers by the connection of their handshake: the key store is not told the address. */
    private final Map<ConnectionId, InetSocketAddress> handshakes = Collections
            .synchronizedMap(new LinkedHashMap<>() {
                @Override
                protected boolean removeEldestEntry(Map.Entry<ConnectionId, InetSocketAddress> eldest) {
                    return size() > REMEMBERED;
                }
            });

    public DtlsGuard(CredentialStore credentials, Refusals refusals) {
        this.credentials = credentials;
        this.refusals = refusals;
    }

    @Override
    public void handshakeStarted(Handshaker handshaker) {
        handshakes.put(handshaker.getConnection().getConnectionId(), handshaker.getPeerAddress());
    }

    @Override
    public void handshakeCompleted(Handshaker handshaker) {
        handshakes.remove(handshaker.getConnection().getConnectionId());
    }

    @Override
    public void handshakeFailed(Handshaker handshaker, Throwable error) {
        handshakes.remove(handshaker.getConnection().getConnectionId());
        Refusal refusal = explain(handshaker, error);
        if (refusal == null) {
            LOG.debug("handshake with {} ended: {}", handshaker.getPeerAddress(), error.toString());
        } else {
            refusals.report(refusal);
        }
    }

    private static Refusal explain(Handshaker handshaker, Throwable error) {
        InetSocketAddress peer = handshaker.getPeerAddress();
        if (error instanceof DtlsHandshakeTimeoutException
                && handshaker.getPeerIdentity() instanceof PreSharedKeyIdentity psk) {
            return Refusal.of(peer, "handshake not finished: the device's key for this PSK identity is probably wrong")
                    .identity(psk.getIdentity());
        }
        if (!(error instanceof HandshakeException failure) || error instanceof ClientCertificateVerifier.RefusedException
                || failure.getAlert() == null) {
            return null;
        }
        AlertDescription description = failure.getAlert().getDescription();
        String alert = description.name().toLowerCase(Locale.ROOT);
        String message = String.valueOf(failure.getMessage());
        if (message.startsWith(RECEIVED_ALERT)) {
            boolean certificate = description == AlertDescription.UNKNOWN_CA
                    || description == AlertDescription.BAD_CERTIFICATE
                    || description == AlertDescription.CERTIFICATE_EXPIRED;
            return Refusal.of(peer, "the device ended the handshake (" + alert + ")"
                    + (certificate ? ": it does not trust this server's certificate" : "")).alert(alert).byTheDevice();
        }
        if (description == AlertDescription.CLOSE_NOTIFY || description == AlertDescription.UNKNOWN_PSK_IDENTITY) {
            return null;
        }
        if (message.contains("client certificate type")) {
            return Refusal.of(peer, "no client certificate of a type that is accepted (X.509 or raw public key)").alert(alert);
        }
        if (message.contains("Certificate required")) {
            return Refusal.of(peer, "no client certificate (the device has none, or none that it may use here)").alert(alert);
        }
        return Refusal.of(peer, "DTLS handshake failed: " + message.lines().findFirst().orElse("")).alert(alert);
    }

    @Override
    public boolean hasEcdhePskSupported() {
        return true;
    }

    @Override
    public PskSecretResult requestPskSecretResult(ConnectionId connection, ServerNames serverName,
            PskPublicInformation identity, String hmacAlgorithm, SecretKey otherSecret, byte[] seed,
            boolean useExtendedMasterSecret) {
        String name = identity.getPublicInfoAsString();
        Credential credential = credentials.byPskIdentity(name);
        if (credential == null) {
            // asked again for every repetition of the flight: told once
            InetSocketAddress peer = handshakes.remove(connection);
            if (peer != null) {
                refusals.report(Refusal.of(peer, "unknown PSK identity").identity(name)
                        .alert(AlertDescription.UNKNOWN_PSK_IDENTITY.name().toLowerCase(Locale.ROOT)));
            }
            return new PskSecretResult(connection, identity);
        }
        return new PskSecretResult(connection, identity, SecretUtil.create(credential.pskKey(), "PSK"), false, false);
    }

    @Override
    public PskPublicInformation getIdentity(InetSocketAddress peerAddress, ServerNames virtualHost) {
        return null;  // for clients only: this server never begins a handshake
    }

    @Override
    public void setResultHandler(HandshakeResultHandler resultHandler) {
        // results are given at once
    }
}
