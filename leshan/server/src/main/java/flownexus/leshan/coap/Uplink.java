package flownexus.leshan.coap;

import java.io.IOException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;

import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.elements.DtlsEndpointContext;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.util.Bytes;
import org.eclipse.californium.elements.util.ClockUtil;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.Observation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mPeer;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.server.profile.ClientProfile;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationServiceImpl;
import org.eclipse.leshan.server.registration.RegistrationStore;
import org.eclipse.leshan.server.registration.RegistrationUpdate;
import org.eclipse.leshan.server.registration.UpdatedRegistration;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.events.EventLog;
import flownexus.leshan.json.NodeWriter;
import flownexus.leshan.security.EndpointAuthorizer;

/** Turns what devices send on their own (Sends and notifications) into events. Runs on protocol threads, never blocks. */
final class Uplink {

    /** A registration's last update is noted at most so often, in ms: it is a matter of lifetimes, which are seconds. */
    private static final long TOUCH_INTERVAL_MILLIS = 1000;

    private final EventLog events;
    private final SampleDecoder decoder = new SampleDecoder();
    private final RegistrationServiceImpl registrations;

    Uplink(EventLog events, RegistrationServiceImpl registrations) {
        this.events = events;
        this.registrations = registrations;
    }

    boolean overloaded() {
        return events.overloaded();
    }

    /** The hexadecimal id of the DTLS session that a context belongs to; empty for plain CoAP. */
    private static String session(EndpointContext context) {
        Bytes id = context.get(DtlsEndpointContext.KEY_SESSION_ID);
        return id == null ? "" : id.getAsString();
    }

    /** When a message came, ms since 1970. */
    private static long received(Message message) {
        long age = ClockUtil.nanoRealtime() - message.getNanoTimestamp();
        return System.currentTimeMillis() - Math.max(0, age) / 1_000_000;
    }

    /**
     * Takes a Send.
     *
     * @param committed runs when it is on disk
     */
    void send(ClientProfile profile, LwM2mPeer sender, Message message, Runnable committed) {
        String endpoint = profile.getEndpoint();
        follow(profile.getRegistration(), sender, message);
        ContentFormat format = format(message);
        long received = received(message);
        SampleDecoder.Decoded decoded;
        try {
            decoded = decoder.decode(payload(message), format, profile.getRootPath(), List.of(), profile.getModel(),
                    received);
        } catch (CodecException e) {
            undecoded(endpoint, null, message, format, e.getMessage(), committed);
            return;
        }
        if (!decoded.errors().isEmpty()) {
            undecoded(endpoint, null, message, format, String.join("; ", decoded.errors()), null);
        }
        events.publish("SEND", endpoint, count(decoded.samples()), json -> {
            json.writeStartObject();
            json.writeStringField("ep", endpoint);
            json.writeFieldName("val");
            NodeWriter.write(json, Sample.newest(decoded.samples()));
            writeTimes(json, decoded, received);
            json.writeEndObject();
        }, committed);
    }

    /** Takes a notification: a value, or word that the device has ended the observation. */
    void notification(Observation observation, ClientProfile profile, LwM2mPeer sender, Response response) {
        String endpoint = profile.getEndpoint();
        follow(profile.getRegistration(), sender, response);
        List<LwM2mPath> paths = observation instanceof SingleObservation single ? List.of(single.getPath())
                : ((CompositeObservation) observation).getPaths();
        if (response.isError()) {
            events.publish("OBSERVATION_LOST", endpoint, join(paths) + " " + response.getCode(), json -> {
                json.writeStartObject();
                json.writeStringField("ep", endpoint);
                writePath(json, paths);
                json.writeStringField("code", response.getCode().text);
                json.writeNumberField("time", System.currentTimeMillis());
                json.writeEndObject();
            }, HeldAcknowledgement.take());
            return;
        }
        ContentFormat format = format(response);
        long received = received(response);
        SampleDecoder.Decoded decoded;
        try {
            decoded = decoder.decode(payload(response), format, profile.getRootPath(), paths, profile.getModel(),
                    received);
        } catch (CodecException e) {
            undecoded(endpoint, paths, response, format, e.getMessage(), HeldAcknowledgement.take());
            return;
        }
        if (!decoded.errors().isEmpty()) {
            undecoded(endpoint, paths, response, format, String.join("; ", decoded.errors()), null);
        }
        Map<LwM2mPath, LwM2mNode> newest = Sample.newest(decoded.samples());
        events.publish("NOTIFICATION", endpoint, join(paths), json -> {
            json.writeStartObject();
            json.writeStringField("ep", endpoint);
            if (observation instanceof SingleObservation) {
                json.writeStringField("kind", "single");
                json.writeStringField("res", paths.get(0).toString());
                json.writeFieldName("val");
                NodeWriter.write(json, newest.get(paths.get(0)));
            } else {
                json.writeStringField("kind", "composite");
                json.writeFieldName("val");
                NodeWriter.write(json, newest);
                json.writeArrayFieldStart("paths");
                for (LwM2mPath path : paths) {
                    json.writeString(path.toString());
                }
                json.writeEndArray();
            }
            if (response.getOptions().hasObserve()) {
                json.writeNumberField("observe", response.getOptions().getObserve());
            }
            writeTimes(json, decoded, received);
            json.writeEndObject();
        }, HeldAcknowledgement.take());
    }

    private void undecoded(String endpoint, List<LwM2mPath> paths, Message message, ContentFormat format, String error,
            Runnable committed) {
        events.publish("UNDECODED", endpoint, error == null ? "" : error.lines().findFirst().orElse(""), json -> {
            json.writeStartObject();
            json.writeStringField("ep", endpoint);
            if (paths != null) {
                writePath(json, paths);
            }
            json.writeStringField("format", format == null ? "none" : format.getName());
            json.writeStringField("hex", HexFormat.of().formatHex(payload(message)));
            json.writeStringField("error", String.valueOf(error));
            json.writeNumberField("time", received(message));
            json.writeEndObject();
        }, committed);
    }

    private static void writeTimes(JsonGenerator json, SampleDecoder.Decoded decoded, long received)
            throws IOException {
        json.writeNumberField("time", received);
        if (decoded.clockless()) {
            json.writeStringField("clock", "none");
        }
        Sample.write(json, decoded.samples());
    }

    private static void writePath(JsonGenerator json, List<LwM2mPath> paths) throws IOException {
        if (paths.size() == 1) {
            json.writeStringField("path", paths.get(0).toString());
        } else {
            json.writeArrayFieldStart("paths");
            for (LwM2mPath path : paths) {
                json.writeString(path.toString());
            }
            json.writeEndArray();
        }
    }

    private static String join(List<LwM2mPath> paths) {
        return paths.size() == 1 ? paths.get(0).toString() : paths.toString();
    }

    private static String count(List<Sample> samples) {
        return samples.size() + (samples.size() == 1 ? " sample" : " samples");
    }

    private static byte[] payload(Message message) {
        return message.getPayload() == null ? new byte[0] : message.getPayload();
    }

    private static ContentFormat format(Message message) {
        return message.getOptions().hasContentFormat()
                ? ContentFormat.fromCode(message.getOptions().getContentFormat())
                : null;
    }

    /** Notes that a device is alive which speaks in another session than that of its registration. */
    void alive(Registration registration) {
        if (System.currentTimeMillis() - registration.getLastUpdate().getTime() < TOUCH_INTERVAL_MILLIS) {
            return;
        }
        LwM2mPeer peer = registration.getClientTransportData();
        registrations.getStore().updateRegistration(new RegistrationUpdate(registration.getId(), peer, null, null, null, null,
                null, null, null, null, null, null) {
            @Override
            public Registration update(Registration present) {
                // its address may have changed meanwhile
                return touch(present.getId(), present.getClientTransportData()).update(present);
            }
        });
    }

    /**
     * Notes that a registered device is alive, and its new address if it speaks in the session in which it registered: a
     * device with a connection id may change its port at any time.
     */
    private void follow(Registration registration, LwM2mPeer sender, Message message) {
        boolean moved = !((IpPeer) sender).getSocketAddress().equals(registration.getSocketAddress());
        boolean sameSession = session(message.getSourceContext())
                .equals(registration.getCustomRegistrationData().getOrDefault(EndpointAuthorizer.SESSION, ""));
        boolean follow = moved && sameSession;
        if (!follow
                && System.currentTimeMillis() - registration.getLastUpdate().getTime() < TOUCH_INTERVAL_MILLIS) {
            return;
        }
        LwM2mPeer peer = follow ? sender : registration.getClientTransportData();
        RegistrationUpdate update = touch(registration.getId(), peer);
        RegistrationStore store = registrations.getStore();
        UpdatedRegistration updated = store.updateRegistration(update);
        if (updated != null && follow) {
            registrations.fireUpdated(update, updated.getUpdatedRegistration(), updated.getPreviousRegistration());
        }
    }

    private static RegistrationUpdate touch(String registrationId, LwM2mPeer peer) {
        return new RegistrationUpdate(registrationId, peer, null, null, null, null, null, null, null, null, null, null);
    }
}
