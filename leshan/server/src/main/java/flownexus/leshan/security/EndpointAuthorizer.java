package flownexus.leshan.security;

import java.net.InetSocketAddress;
import java.security.cert.X509Certificate;
import java.util.HashMap;
import java.util.Map;

import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.elements.DtlsEndpointContext;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.util.Bytes;
import org.eclipse.leshan.core.endpoint.EndpointUri;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.core.peer.PskIdentity;
import org.eclipse.leshan.core.peer.RpkIdentity;
import org.eclipse.leshan.core.peer.X509Identity;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.request.UplinkRequest;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.security.Authorizer;
import org.eclipse.leshan.servers.security.Authorization;

import flownexus.leshan.coap.PeerIdentities;
import flownexus.leshan.security.Refusals.Refusal;

/** Decides who may register under which name: only what is provisioned, and only with its own identity. */
public final class EndpointAuthorizer implements Authorizer {

    /** Key of a registration's data: the DTLS session in which it was made or last updated, in hexadecimal. */
    public static final String SESSION = "dtls-session";
    /** Key of a registration's data: SHA-256 of the client's certificate. */
    public static final String CERTIFICATE = "certificate";

    private final CredentialStore credentials;
    private final Refusals refusals;
    private final boolean lab;

    /** @param lab whether unknown names are admitted over plain CoAP */
    public EndpointAuthorizer(CredentialStore credentials, Refusals refusals, boolean lab) {
        this.credentials = credentials;
        this.refusals = refusals;
        this.lab = lab;
    }

    @Override
    public Authorization isAuthorized(UplinkRequest<?> request, Registration registration, LwM2mPeer sender,
            EndpointUri endpointUri) {
        boolean register = request instanceof RegisterRequest;
        LwM2mIdentity identity = sender.getIdentity();
        if (!register && (!registration.getEndpointUri().equals(endpointUri)
                || !registration.getClientTransportData().getIdentity().equals(identity))) {
            refusals.report(Refusal.of(((IpPeer) sender).getSocketAddress(), "registration " + registration.getId()
                    + " was made with another identity or address (that one must register again)")
                    .endpoint(registration.getEndpoint()));
            return Authorization.declined();
        }
        EndpointContext context = request.getCoapRequest() instanceof Request coap ? coap.getSourceContext() : null;
        X509Certificate certificate = context == null ? null : PeerIdentities.certificate(context.getPeerIdentity());
        String reason = objection(registration.getEndpoint(), identity, certificate);
        if (reason != null) {
            InetSocketAddress peer = ((IpPeer) sender).getSocketAddress();
            Refusal refusal = Refusal.of(peer, reason).endpoint(registration.getEndpoint()).certificate(certificate);
            refusals.report(identity instanceof PskIdentity psk ? refusal.identity(psk.getPskIdentity()) : refusal);
            return Authorization.declined();
        }
        if (!register && !(request instanceof UpdateRequest)) {
            return Authorization.approved();
        }
        return Authorization.approved(data(context, certificate));
    }

    private static Map<String, String> data(EndpointContext context, X509Certificate certificate) {
        Map<String, String> data = new HashMap<>();
        Bytes session = context == null ? null : context.get(DtlsEndpointContext.KEY_SESSION_ID);
        data.put(SESSION, session == null ? "" : session.getAsString());
        if (certificate != null) {
            data.put(CERTIFICATE, Certificates.sha256(certificate));
        }
        return data;
    }

    /**
     * Why a peer may not use a name, or null if it may.
     *
     * @param certificate what it proved itself with; null if that was something else
     */
    public String objection(String endpoint, LwM2mIdentity identity, X509Certificate certificate) {
        Credential credential = credentials.byEndpoint(endpoint);
        if (identity instanceof X509Identity x509) {
            if (!x509.getX509CommonName().equals(endpoint)) {
                return "certificate is for '" + x509.getX509CommonName() + "', not for this endpoint";
            }
            if (credential == null) {
                return "endpoint is not provisioned";
            }
            if (credential.mode() != Credential.Mode.X509) {
                return "endpoint is provisioned for " + credential.mode().text() + ", not for a certificate";
            }
            return certificate == null || credential.accepts(Certificates.sha256(certificate)) ? null
                    : "certificate is not (or no longer) one of this endpoint's";
        }
        if (identity instanceof PskIdentity psk) {
            if (credential == null) {
                return "endpoint is not provisioned";
            }
            if (credential.mode() != Credential.Mode.PSK) {
                return "endpoint is provisioned for " + credential.mode().text() + ", not for a pre-shared key";
            }
            return psk.getPskIdentity().equals(credential.pskIdentity()) ? null
                    : "PSK identity belongs to another endpoint";
        }
        if (identity instanceof RpkIdentity rpk) {
            if (credential == null) {
                return "endpoint is not provisioned";
            }
            if (credential.mode() != Credential.Mode.RPK) {
                return "endpoint is provisioned for " + credential.mode().text() + ", not for a raw public key";
            }
            return rpk.getPublicKey().equals(credential.publicKey()) ? null : "raw public key belongs to another endpoint";
        }
        if (identity.isSecure()) {
            return "unknown kind of identity";
        }
        if (credential == null) {
            return lab ? null : "plain CoAP: endpoint is not provisioned";
        }
        return credential.mode() == Credential.Mode.NOSEC ? null
                : "plain CoAP: endpoint is provisioned for " + credential.mode().text();
    }
}
