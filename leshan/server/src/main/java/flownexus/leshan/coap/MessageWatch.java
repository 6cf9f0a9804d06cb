package flownexus.leshan.coap;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Consumer;

import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.core.coap.OptionSet;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.BlockOption;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.server.LeshanServer;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationStore;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.events.EventLog;

/** Sees every CoAP message: tells who was heard of, and makes the live trace for those who ask for a device's. */
final class MessageWatch implements MessageInterceptor {

    /** Of a payload; a message without DTLS could carry more. */
    private static final int MAX_TRACED_BYTES = 1024;
    /** Of the blocks after the first: a package has thousands of them. */
    private static final int MAX_TRACED_BLOCK_BYTES = 32;
    private static final int MAX_ASKED = 1024;

    /** What a message is about. */
    private record Subject(String endpoint, Registration registration) {
    }

    private final LeshanServer leshan;
    private final RegistrationStore registrations;
    private final EventLog events;
    private final Consumer<LwM2mIdentity> heard;
    private final PayloadText text = new PayloadText();
    /** Paths of traced requests by token: an answer does not say what it answers. */
    private final Map<String, String> asked = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, String> eldest) {
            return size() > MAX_ASKED;
        }
    });

    MessageWatch(LeshanServer leshan, EventLog events, Consumer<LwM2mIdentity> heard) {
        this.leshan = leshan;
        this.registrations = leshan.getRegistrationStore();
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
        if (!events.traceWanted() || context == null) {
            return;
        }
        Subject subject = subject(message, context);
        if (subject == null || !events.traceWanted(subject.endpoint)) {
            return;
        }
        OptionSet options = message.getOptions();
        if (message instanceof Request) {
            asked.put(subject.endpoint + " " + message.getTokenString(), "/" + options.getUriPathString());
        }
        String path = message instanceof Response ? answered(message, subject) : null;
        events.publishTrace("COAPLOG", subject.endpoint, json -> {
            json.writeStartObject();
            json.writeNumberField("timestamp", System.currentTimeMillis());
            json.writeBooleanField("incoming", incoming);
            json.writeStringField("type", String.valueOf(message.getType()));
            json.writeStringField("code", code);
            json.writeNumberField("mId", message.getMID());
            json.writeStringField("token", message.getTokenString());
            json.writeStringField("options", options.toString());
            if (message instanceof Request) {
                String query = options.getUriQueryString();
                json.writeStringField("uri", "/" + options.getUriPathString() + (query.isEmpty() ? "" : "?" + query));
            } else if (path != null) {
                json.writeStringField("path", path);
            }
            writePayload(json, message, message instanceof Request ? "/" + options.getUriPathString() : path, subject);
            json.writeStringField("ep", subject.endpoint);
            json.writeEndObject();
        });
    }

    private Subject subject(Message message, EndpointContext context) {
        LwM2mPeer peer = PeerIdentities.peer(context);
        Registration registration = registrations.getRegistrationByIdentity(peer.getIdentity());
        if (registration == null && peer instanceof IpPeer ip) {
            registration = registrations.getRegistrationByAdress(ip.getSocketAddress());
        }
        if (message instanceof Request request && "rd".equals(request.getOptions().getUriPathString())) {
            for (String query : request.getOptions().getUriQueryStrings()) {
                if (query.startsWith("ep=")) {
                    return new Subject(query.substring(3), registration);
                }
            }
        }
        return registration == null ? null : new Subject(registration.getEndpoint(), registration);
    }

    /** The path of what an answer or a notification answers, or null. */
    private String answered(Message message, Subject subject) {
        String path = asked.get(subject.endpoint + " " + message.getTokenString());
        if (path != null || subject.registration == null) {
            return path;
        }
        byte[] token = message.getTokenBytes();
        for (Observation observation : registrations.getObservations(subject.registration.getId())) {
            if (observation instanceof SingleObservation single && Arrays.equals(single.getId().getBytes(), token)) {
                return single.getPath().toString();
            }
        }
        return null;
    }

    private void writePayload(JsonGenerator json, Message message, String path, Subject subject) throws IOException {
        byte[] payload = message.getPayload();
        if (payload == null || payload.length == 0) {
            json.writeStringField("payload", "");
            return;
        }
        OptionSet options = message.getOptions();
        ContentFormat format = options.hasContentFormat() ? ContentFormat.fromCode(options.getContentFormat()) : null;
        BlockOption block = message instanceof Request ? options.getBlock1() : options.getBlock2();
        boolean part = block != null && (block.getNum() > 0 || block.isM());
        int shown = Math.min(payload.length, part && block.getNum() > 0 ? MAX_TRACED_BLOCK_BYTES : MAX_TRACED_BYTES);
        boolean printable = format == null || MediaTypeRegistry.isPrintable(format.getCode());
        String hex = HexFormat.of().formatHex(payload, 0, shown);
        json.writeStringField("payload", (printable ? new String(payload, 0, shown, StandardCharsets.UTF_8) : "0x" + hex)
                + (shown < payload.length ? "…" : ""));
        json.writeStringField("payloadHex", hex);
        json.writeNumberField("payloadSize", payload.length);
        if (shown < payload.length) {
            json.writeBooleanField("payloadCut", true);
        }
        if (format != null) {
            json.writeStringField("format", format.getName());
        }
        json.writeStringField("decoded", part ? partOf(block, payload.length)
                : text.of(payload, format, path(path, subject),
                        subject.registration == null ? null
                                : leshan.getModelProvider().getObjectModel(subject.registration)));
    }

    private static String partOf(BlockOption block, int length) {
        int from = block.getOffset();
        return "block %d of a larger payload: bytes %d to %d, %s".formatted(block.getNum(), from, from + length - 1,
                block.isM() ? "more follow" : "the last");
    }

    private static LwM2mPath path(String path, Subject subject) {
        String root = subject.registration == null ? "/" : subject.registration.getRootPath();
        try {
            return path == null ? null
                    : new LwM2mPath(root != null && root.length() > 1 && path.startsWith(root)
                            ? path.substring(root.length()) : path);
        } catch (RuntimeException e) {
            return null;  // "/rd", "/dp": not about one path
        }
    }
}
