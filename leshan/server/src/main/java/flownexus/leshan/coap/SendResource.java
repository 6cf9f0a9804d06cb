package flownexus.leshan.coap;

import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.CoapExchange;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.server.profile.ClientProfile;
import org.eclipse.leshan.server.profile.ClientProfileProvider;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.events.LogText;

/**
 * {@code /dp}: the Send operation (LwM2M 1.1, 6.4.6). Answered when what was sent is on disk, and with success even if it
 * cannot be understood: the device has emptied its memory by then, and what it sent is kept raw.
 */
final class SendResource extends CoapResource {

    private static final Logger LOG = LoggerFactory.getLogger(SendResource.class);

    private final ClientProfileProvider profiles;
    private final PeerIdentities identities;
    private final Uplink uplink;

    SendResource(ClientProfileProvider profiles, PeerIdentities identities, Uplink uplink) {
        super("dp");
        this.profiles = profiles;
        this.identities = identities;
        this.uplink = uplink;
    }

    @Override
    public void handlePOST(CoapExchange exchange) {
        Request request = exchange.advanced().getRequest();
        LwM2mPeer sender = identities.getIdentity(request);
        ClientProfile profile = profiles.getProfile(sender.getIdentity());
        if (profile == null) {
            LOG.info("a Send from {} was answered 4.00: no registration (the device should register again)",
                    LogText.of(sender.toString()));
            exchange.respond(ResponseCode.BAD_REQUEST, "no registration found");
        } else if (uplink.overloaded()) {
            exchange.respond(ResponseCode.SERVICE_UNAVAILABLE);
        } else {
            uplink.send(profile, sender, request, () -> exchange.respond(ResponseCode.CHANGED));
        }
    }
}
