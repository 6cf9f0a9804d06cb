package flownexus.leshan.json;

import java.io.IOException;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;

import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationUpdate;

import com.fasterxml.jackson.core.JsonGenerator;

/** Registrations and their updates as JSON. */
public final class RegistrationWriter {

    private final Predicate<Registration> sleeping;

    /** @param sleeping tells whether a device with queue mode is asleep */
    public RegistrationWriter(Predicate<Registration> sleeping) {
        this.sleeping = sleeping;
    }

    /** Writes a registration. */
    public void write(JsonGenerator json, Registration registration) throws IOException {
        json.writeStartObject();
        writeFields(json, registration);
        json.writeEndObject();
    }

    /** Writes a registration's fields into an object that is open. */
    public void writeFields(JsonGenerator json, Registration registration) throws IOException {
        json.writeStringField("endpoint", registration.getEndpoint());
        json.writeStringField("registrationId", registration.getId());
        json.writeNumberField("registrationDate", registration.getRegistrationDate().getTime());
        json.writeNumberField("lastUpdate", registration.getLastUpdate().getTime());
        json.writeStringField("address", registration.getAddress().getHostAddress() + ":" + registration.getPort());
        if (registration.getSmsNumber() != null) {
            json.writeStringField("smsNumber", registration.getSmsNumber());
        }
        json.writeStringField("lwM2mVersion", registration.getLwM2mVersion().toString());
        json.writeNumberField("lifetime", registration.getLifeTimeInSec());
        json.writeStringField("bindingMode", BindingMode.toString(registration.getBindingMode()));
        json.writeStringField("rootPath", registration.getRootPath());
        json.writeFieldName("objectLinks");
        NodeWriter.writeLinks(json, registration.getObjectLinks());
        json.writeBooleanField("secure", registration.getClientTransportData().getIdentity().isSecure());
        writeStrings(json, "additionalRegistrationAttributes", registration.getAdditionalRegistrationAttributes());
        json.writeBooleanField("queuemode", registration.usesQueueMode());
        if (registration.usesQueueMode()) {
            json.writeBooleanField("sleeping", sleeping.test(registration));
        }
        json.writeObjectFieldStart("availableInstances");
        for (Map.Entry<Integer, Set<Integer>> object : instances(registration).entrySet()) {
            json.writeArrayFieldStart(object.getKey().toString());
            for (int instance : object.getValue()) {
                json.writeNumber(instance);
            }
            json.writeEndArray();
        }
        json.writeEndObject();
    }

    /** Writes what an Update of the registration changed. */
    public static void write(JsonGenerator json, RegistrationUpdate update) throws IOException {
        json.writeStartObject();
        json.writeStringField("registrationId", update.getRegistrationId());
        json.writeStringField("address", update.getAddress().getHostAddress() + ":" + update.getPort());
        if (update.getSmsNumber() != null) {
            json.writeStringField("smsNumber", update.getSmsNumber());
        }
        if (update.getLifeTimeInSec() != null) {
            json.writeNumberField("lifetime", update.getLifeTimeInSec());
        }
        if (update.getAlternatePath() != null) {
            json.writeStringField("alternatePath", update.getAlternatePath());
        }
        if (update.getObjectLinks() != null) {
            json.writeFieldName("objectLinks");
            NodeWriter.writeLinks(json, update.getObjectLinks());
        }
        json.writeBooleanField("secure", update.getClientTransportData().getIdentity().isSecure());
        if (update.getAdditionalAttributes() != null) {
            writeStrings(json, "additionalAttributes", update.getAdditionalAttributes());
        }
        json.writeEndObject();
    }

    private static void writeStrings(JsonGenerator json, String field, Map<String, String> values) throws IOException {
        json.writeObjectFieldStart(field);
        for (Map.Entry<String, String> entry : values.entrySet()) {
            json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
    }

    private static Map<Integer, Set<Integer>> instances(Registration registration) {
        Map<Integer, Set<Integer>> instances = new TreeMap<>();
        for (LwM2mPath path : registration.getAvailableInstances()) {
            instances.computeIfAbsent(path.getObjectId(), id -> new TreeSet<>()).add(path.getObjectInstanceId());
        }
        return instances;
    }
}
