package flownexus.leshan.coap;

import java.io.IOException;
import java.io.UncheckedIOException;
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
import flownexus.leshan.json.Json;
import flownexus.leshan.json.NodeWriter;
import flownexus.leshan.security.EndpointAuthorizer;

/** Turns what devices send on their own (Sends and notifications) into events. Runs on protocol threads, never blocks. */
final class Uplink {

    /** A registration's last update is noted at most so often, in ms: it is a matter of lifetimes, which are seconds. */
    private static final long TOUCH_INTERVAL_MILLIS = 1000;
    /** An event has so many values at most, of long ones fewer: some MB of JSON, whatever a device sends at once. */
    private static final int MAX_WEIGHT = 20_000;

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
        follow(profile.getRegistration(), sender, message);
        Upload upload = new Upload(profile, List.of(), true, message, received(message));
        SampleDecoder.Decoded decoded = decoded(upload, committed);
        if (decoded == null) {
            return;
        }
        List<List<Sample>> parts = Sample.parts(decoded.samples(), MAX_WEIGHT);
        publish(upload, "SEND", count(decoded.samples()), decoded, parts, committed, (json, part) -> {
            json.writeFieldName("val");
            NodeWriter.write(json, Sample.newest(part));
        });
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
        Upload upload = new Upload(profile, paths, false, response, received(response));
        Runnable acknowledgement = HeldAcknowledgement.take();
        SampleDecoder.Decoded decoded = decoded(upload, acknowledgement);
        if (decoded == null) {
            return;
        }
        List<List<Sample>> parts = Sample.parts(decoded.samples(), MAX_WEIGHT);
        publish(upload, "NOTIFICATION", join(paths), decoded, parts, acknowledgement, (json, part) -> {
            Map<LwM2mPath, LwM2mNode> newest = Sample.newest(part);
            if (observation instanceof SingleObservation) {
                json.writeStringField("kind", "single");
                json.writeStringField("res", paths.get(0).toString());
                json.writeFieldName("val");
                NodeWriter.write(json, newest.get(paths.get(0)));
            } else {
                json.writeStringField("kind", "composite");
                json.writeFieldName("val");
                NodeWriter.write(json, newest);
                writePaths(json, paths);
            }
            if (response.getOptions().hasObserve()) {
                json.writeNumberField("observe", response.getOptions().getObserve());
            }
        });
    }

    /** What a device sent on its own, and when it came. */
    private record Upload(ClientProfile profile, List<LwM2mPath> paths, boolean isSend, Message message, long received) {

        byte[] payload() {
            return message.getPayload() == null ? new byte[0] : message.getPayload();
        }

        ContentFormat format() {
            return message.getOptions().hasContentFormat()
                    ? ContentFormat.fromCode(message.getOptions().getContentFormat())
                    : null;
        }
    }

    /** Writes what only one kind of event has, of one part of the samples. */
    @FunctionalInterface
    private interface Fields {
        void write(JsonGenerator json, List<Sample> part) throws IOException;
    }

    /** What an upload says; null if nothing of it can be understood, which is told then. */
    private SampleDecoder.Decoded decoded(Upload upload, Runnable committed) {
        try {
            return decoder.decode(upload.payload(), upload.format(), upload.profile.getRootPath(), upload.paths,
                    upload.profile.getModel(), upload.received);
        } catch (CodecException e) {
            undecoded(upload, e.getMessage(), committed);
            return null;
        }
    }

    private void publish(Upload upload, String type, String detail, SampleDecoder.Decoded decoded,
            List<List<Sample>> parts, Runnable committed, Fields fields) {
        String endpoint = upload.profile.getEndpoint();
        if (!decoded.isComplete()) {
            undecoded(upload, decoded.incompleteness(), null);
        }
        for (int index = 0; index < parts.size(); index++) {
            List<Sample> part = parts.get(index);
            byte[] event;
            try {
                event = Json.bytes(json -> {
                    json.writeStartObject();
                    json.writeStringField("ep", endpoint);
                    fields.write(json, part);
                    json.writeNumberField("time", upload.received);
                    DecodedWriter.write(json, decoded, part);
                    json.writeEndObject();
                });
            } catch (UncheckedIOException e) {
                undecoded(upload, Problems.line("it cannot be told in JSON: " + e.getMessage()), committed);
                return;
            }
            // appended in order, so that all of it is on disk when the last part is
            events.publish(type, endpoint, detail, event, index == parts.size() - 1 ? committed : null);
        }
    }

    private void undecoded(Upload upload, String error, Runnable committed) {
        String endpoint = upload.profile.getEndpoint();
        ContentFormat format = upload.format();
        events.publish("UNDECODED", endpoint, error, json -> {
            json.writeStartObject();
            json.writeStringField("ep", endpoint);
            json.writeStringField("received", upload.isSend ? "send" : "notification");
            if (upload.paths.size() == 1) {
                json.writeStringField("path", upload.paths.get(0).toString());
            }
            writePaths(json, upload.paths);
            json.writeStringField("format", format == null ? "none" : format.getName());
            if (format != null) {
                json.writeNumberField("contentFormat", format.getCode());
            }
            json.writeStringField("rootPath", upload.profile.getRootPath());
            DecodedWriter.writeVersions(json, upload.profile.getRegistration().getSupportedObject());
            json.writeStringField("hex", HexFormat.of().formatHex(upload.payload()));
            json.writeStringField("error", error);
            json.writeNumberField("time", upload.received);
            json.writeEndObject();
        }, committed);
    }

    private static void writePath(JsonGenerator json, List<LwM2mPath> paths) throws IOException {
        if (paths.size() == 1) {
            json.writeStringField("path", paths.get(0).toString());
        } else {
            writePaths(json, paths);
        }
    }

    private static void writePaths(JsonGenerator json, List<LwM2mPath> paths) throws IOException {
        json.writeArrayFieldStart("paths");
        for (LwM2mPath path : paths) {
            json.writeString(path.toString());
        }
        json.writeEndArray();
    }

    private static String join(List<LwM2mPath> paths) {
        return paths.size() == 1 ? paths.get(0).toString() : paths.toString();
    }

    private static String count(List<Sample> samples) {
        return samples.size() + (samples.size() == 1 ? " sample" : " samples");
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
