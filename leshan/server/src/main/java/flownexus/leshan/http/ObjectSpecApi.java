package flownexus.leshan.http;

import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;

import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.coap.LwM2mService;

/** {@code /api/objectspecs/{ep}}: the models of a client's objects. */
final class ObjectSpecApi {

    private final LwM2mService lwm2m;

    ObjectSpecApi(LwM2mService lwm2m) {
        this.lwm2m = lwm2m;
    }

    void handle(Call call) {
        if (call.path.size() != 1 || !call.method().equals("GET")) {
            call.text(400, "Invalid path");
            return;
        }
        Registration registration = lwm2m.registration(call.path.get(0));
        if (registration == null) {
            call.text(400, "no registered client with id '" + call.path.get(0) + "'");
            return;
        }
        List<ObjectModel> models = lwm2m.model(registration).getObjectModels().stream()
                .sorted(Comparator.comparingInt(model -> model.id)).toList();
        call.json(json -> {
            json.writeStartArray();
            for (ObjectModel model : models) {
                write(json, model);
            }
            json.writeEndArray();
        });
    }

    private static void write(JsonGenerator json, ObjectModel model) throws IOException {
        json.writeStartObject();
        json.writeNumberField("id", model.id);
        json.writeStringField("name", model.name);
        json.writeStringField("instancetype", Boolean.TRUE.equals(model.multiple) ? "multiple" : "single");
        json.writeBooleanField("mandatory", Boolean.TRUE.equals(model.mandatory));
        json.writeStringField("urn", model.urn);
        json.writeStringField("version", model.version);
        json.writeStringField("lwm2mversion", model.lwm2mVersion);
        json.writeStringField("description", model.description);
        json.writeStringField("description2", model.description2);
        json.writeArrayFieldStart("resourcedefs");
        for (ResourceModel resource : model.resources.values()) {
            json.writeStartObject();
            json.writeNumberField("id", resource.id);
            json.writeStringField("name", resource.name);
            json.writeStringField("operations", String.valueOf(resource.operations));
            json.writeStringField("instancetype", Boolean.TRUE.equals(resource.multiple) ? "multiple" : "single");
            json.writeBooleanField("mandatory", Boolean.TRUE.equals(resource.mandatory));
            json.writeStringField("type",
                    resource.type == null ? "none" : resource.type.toString().toLowerCase(Locale.ROOT));
            json.writeStringField("range", resource.rangeEnumeration);
            json.writeStringField("units", resource.units);
            json.writeStringField("description", resource.description);
            json.writeEndObject();
        }
        json.writeEndArray();
        json.writeEndObject();
    }
}
