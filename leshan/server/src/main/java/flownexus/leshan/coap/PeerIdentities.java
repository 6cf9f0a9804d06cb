package flownexus.leshan.coap;

import java.net.InetSocketAddress;
import java.security.Principal;
import java.security.cert.X509Certificate;

import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;
import javax.naming.ldap.Rdn;
import javax.security.auth.x500.X500Principal;

import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.elements.AddressEndpointContext;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.PrincipalEndpointContextMatcher;
import org.eclipse.californium.elements.auth.PreSharedKeyIdentity;
import org.eclipse.californium.elements.auth.RawPublicKeyIdentity;
import org.eclipse.californium.elements.auth.X509CertPath;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.core.peer.PskIdentity;
import org.eclipse.leshan.core.peer.RpkIdentity;
import org.eclipse.leshan.core.peer.X509Identity;
import org.eclipse.leshan.transport.californium.identity.IdentityHandler;

/**
 * Who a peer is: from its DTLS session to Leshan's identities and back. Common names are parsed and escaped as RFC 2253 says,
 * so that any endpoint name can be one.
 */
public final class PeerIdentities implements IdentityHandler {

    /** For DTLS: a response belongs to a request if its sender has the identity that the request was for. */
    static final class Matcher extends PrincipalEndpointContextMatcher {

        @Override
        protected boolean matchPrincipals(Principal requested, Principal available) {
            if (isX509(requested) && isX509(available)) {
                String name = commonName(requested);
                return name != null && name.equals(commonName(available));
            }
            return super.matchPrincipals(requested, available);
        }
    }

    @Override
    public LwM2mPeer getIdentity(Message message) {
        return peer(message.getSourceContext());
    }

    static LwM2mPeer peer(EndpointContext context) {
        InetSocketAddress address = context.getPeerAddress();
        Principal principal = context.getPeerIdentity();
        if (principal == null) {
            return new IpPeer(address);
        }
        if (principal instanceof PreSharedKeyIdentity psk) {
            return new IpPeer(address, new PskIdentity(psk.getIdentity()));
        }
        if (principal instanceof RawPublicKeyIdentity rpk) {
            return new IpPeer(address, new RpkIdentity(rpk.getKey()));
        }
        if (isX509(principal)) {
            String name = commonName(principal);
            return new IpPeer(address, new X509Identity(name == null ? "" : name));
        }
        throw new IllegalStateException("unknown kind of peer: " + principal.getClass().getName());
    }

    @Override
    public EndpointContext createEndpointContext(LwM2mPeer client, boolean allowConnectionInitiation) {
        InetSocketAddress address = ((IpPeer) client).getSocketAddress();
        LwM2mIdentity identity = client.getIdentity();
        if (identity instanceof PskIdentity psk) {
            return new AddressEndpointContext(address, new PreSharedKeyIdentity(psk.getPskIdentity()));
        }
        if (identity instanceof RpkIdentity rpk) {
            return new AddressEndpointContext(address, new RawPublicKeyIdentity(rpk.getPublicKey()));
        }
        if (identity instanceof X509Identity x509) {
            return new AddressEndpointContext(address,
                    new X500Principal("CN=" + Rdn.escapeValue(x509.getX509CommonName())));
        }
        return new AddressEndpointContext(address);
    }

    /** The common name in a certificate's subject, or null if there is none. */
    public static String commonName(X509Certificate certificate) {
        return commonName(certificate.getSubjectX500Principal().getName());
    }

    /** The certificate that a principal proved to have, or null if it is of another kind. */
    public static X509Certificate certificate(Principal principal) {
        return principal instanceof X509CertPath path ? path.getTarget() : null;
    }

    private static boolean isX509(Principal principal) {
        return principal instanceof X509CertPath || principal instanceof X500Principal;
    }

    private static String commonName(Principal principal) {
        X509Certificate certificate = certificate(principal);
        return certificate == null ? commonName(principal.getName()) : commonName(certificate);
    }

    private static String commonName(String distinguishedName) {
        try {
            for (Rdn rdn : new LdapName(distinguishedName).getRdns()) {
                if (rdn.getType().equalsIgnoreCase("CN") && rdn.getValue() instanceof String name) {
                    return name;
                }
            }
        } catch (InvalidNameException e) {
            return null;
        }
        return null;
    }
}
