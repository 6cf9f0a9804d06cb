package flownexus.leshan.coap;

import java.util.HexFormat;
import java.util.function.Consumer;

import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationStore;

import flownexus.leshan.events.EventLog;

/** Sees every CoAP message: tells who was heard of, and makes the live trace for those who ask for a device's. */
final class MessageWatch implements MessageInterceptor {

    private static final int MAX_TRACED_PAYLOAD = 2048;

    private final RegistrationStore registrations;
    private final EventLog events;
    private final Consumer<LwM2mIdentity> heard;

    MessageWatch(RegistrationStore registrations, EventLog events, Consumer<LwM2mIdentity> heard) {
        this.registrations = registrations;
        this.events = events;
        this.heard = heard;
    }

    @Override
    public void receiveRequest(Request request) {
        received(request, request.getCode() == null ? "" : request.getCode().toString());
    }

    @Override
    public void receiveResponse(Response response) {
        received(response, response.getCode().toString());
    }

    @Override
    public void receiveEmptyMessage(EmptyMessage message) {
        received(message, "");
    }

    @Override
    public void sendRequest(Request request) {
        trace(request, false, request.getCode() == null ? "" : request.getCode().toString(),
                request.getDestinationContext());
    }

    @Override
    public void sendResponse(Response response) {
        trace(response, false, response.getCode().toString(), response.getDestinationContext());
    }

    @Override
    public void sendEmptyMessage(EmptyMessage message) {
        trace(message, false, "", message.getDestinationContext());
    }

    private void received(Message message, String code) {
        if (message.getSourceContext() == null) {
            return;
        }
        heard.accept(PeerIdentities.peer(message.getSourceContext()).getIdentity());
        trace(message, true, code, message.getSourceContext());
    }

    private void trace(Message message, boolean incoming, String code, EndpointContext context) {
        if (!events.liveWanted() || context == null) {
            return;
        }
        String endpoint = endpoint(message, context);
        if (endpoint == null || !events.liveWanted(endpoint)) {
            return;
        }
        events.publishLive("COAPLOG", endpoint, json -> {
            json.writeStartObject();
            json.writeNumberField("timestamp", System.currentTimeMillis());
            json.writeBooleanField("incoming", incoming);
            json.writeStringField("type", String.valueOf(message.getType()));
            json.writeStringField("code", code);
            json.writeNumberField("mId", message.getMID());
            json.writeStringField("token", message.getTokenString());
            json.writeStringField("options", message.getOptions().toString());
            json.writeStringField("payload", payload(message));
            json.writeStringField("ep", endpoint);
            json.writeEndObject();
        });
    }

    private String endpoint(Message message, EndpointContext context) {
        if (message instanceof Request request) {
            for (String query : request.getOptions().getUriQueryStrings()) {
                if (query.startsWith("ep=") && "rd".equals(request.getOptions().getUriPathString())) {
                    return query.substring(3);
                }
            }
        }
        LwM2mPeer peer = PeerIdentities.peer(context);
        Registration registration = registrations.getRegistrationByIdentity(peer.getIdentity());
        if (registration == null && peer instanceof IpPeer ip) {
            registration = registrations.getRegistrationByAdress(ip.getSocketAddress());
        }
        return registration == null ? null : registration.getEndpoint();
    }

    private static String payload(Message message) {
        byte[] payload = message.getPayload();
        if (payload == null || payload.length == 0) {
            return "";
        }
        boolean text = !message.getOptions().hasContentFormat()
                || MediaTypeRegistry.isPrintable(message.getOptions().getContentFormat());
        String shown = text ? message.getPayloadString()
                : "0x" + HexFormat.of().formatHex(payload, 0, Math.min(payload.length, MAX_TRACED_PAYLOAD / 2));
        return shown.length() <= MAX_TRACED_PAYLOAD ? shown : shown.substring(0, MAX_TRACED_PAYLOAD) + "…";
    }
}
