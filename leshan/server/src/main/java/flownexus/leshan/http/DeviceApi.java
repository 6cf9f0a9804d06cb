package flownexus.leshan.http;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import org.eclipse.leshan.core.link.attributes.InvalidAttributeException;
import org.eclipse.leshan.core.link.lwm2m.attributes.DefaultLwM2mAttributeParser;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeParser;
import org.eclipse.leshan.core.link.lwm2m.attributes.LwM2mAttributeSet;
import org.eclipse.leshan.core.node.LwM2mChildNode;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mObjectInstance;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mSingleResource;
import org.eclipse.leshan.core.observation.CompositeObservation;
import org.eclipse.leshan.core.observation.SingleObservation;
import org.eclipse.leshan.core.request.CancelCompositeObservationRequest;
import org.eclipse.leshan.core.request.CancelObservationRequest;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.CreateRequest;
import org.eclipse.leshan.core.request.DeleteRequest;
import org.eclipse.leshan.core.request.DiscoverRequest;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.ExecuteRequest;
import org.eclipse.leshan.core.request.ObserveCompositeRequest;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.request.ReadCompositeRequest;
import org.eclipse.leshan.core.request.ReadRequest;
import org.eclipse.leshan.core.request.WriteAttributesRequest;
import org.eclipse.leshan.core.request.WriteCompositeRequest;
import org.eclipse.leshan.core.request.WriteRequest;
import org.eclipse.leshan.core.request.WriteRequest.Mode;
import org.eclipse.leshan.core.request.exception.InvalidRequestException;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.server.observation.ObservationService;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.json.Json;
import flownexus.leshan.json.NodeReader;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.requests.RequestService;

/** {@code /api/clients}: registrations, and what is asked of devices, made into requests. Nothing here waits. */
final class DeviceApi {

    private final LwM2mService lwm2m;
    private final RequestSender sender;
    private final PackageStore packages;
    private final GrantApi grants;
    private final DecodeApi decode;
    private final LwM2mAttributeParser attributes = new DefaultLwM2mAttributeParser();

    DeviceApi(LwM2mService lwm2m, RequestService requests, PackageStore packages, GrantApi grants) {
        this.lwm2m = lwm2m;
        this.packages = packages;
        this.grants = grants;
        this.decode = new DecodeApi(lwm2m);
        this.sender = new RequestSender(lwm2m, requests);
    }

    void handle(Call call) {
        if (call.path.isEmpty()) {
            if (call.method().equals("GET")) {
                new RegistrationList(call, lwm2m.registrations(), lwm2m.writer()).iterate();
            } else {
                invalidPath(call);
            }
            return;
        }
        String endpoint = call.path.get(0);
        List<String> rest = call.path.subList(1, call.path.size());
        if (rest.equals(List.of("awake")) && call.method().equals("PUT")) {
            call.withBody(body -> setAwakeWindow(call, endpoint, body));
            return;
        }
        if (rest.equals(List.of("decode")) && call.method().equals("POST")) {
            decode.handle(call, endpoint);
            return;
        }
        if (!rest.isEmpty() && rest.get(0).equals("grants")) {
            guarded(call, () -> grants.handle(call, endpoint, rest.subList(1, rest.size())));
            return;
        }
        guarded(call, () -> {
            // before all else: its device may have gone meanwhile
            if (!rest.isEmpty() && sender.isRepeated(call)) {
                return;
            }
            Registration registration = lwm2m.registration(endpoint);
            if (registration == null) {
                call.text(400, "No registered client with id '" + endpoint + "'");
                return;
            }
            switch (call.method()) {
            case "GET" -> get(call, registration, rest);
            case "PUT" -> put(call, registration, rest);
            case "POST" -> post(call, registration, rest);
            case "DELETE" -> delete(call, registration, rest);
            default -> call.text(405, "Method not allowed");
            }
        });
    }

    private void get(Call call, Registration registration, List<String> rest) {
        if (rest.isEmpty()) {
            call.json(json -> lwm2m.writer().write(json, registration));
        } else if (rest.equals(List.of("composite"))) {
            send(call, registration, new ReadCompositeRequest(format(call, "pathformat"), format(call, "nodeformat"),
                    paths(call)));
        } else if (rest.size() >= 2 && last(rest).equals("discover")) {
            send(call, registration, new DiscoverRequest(lwm2mPath(rest, 1)));
        } else {
            send(call, registration, new ReadRequest(format(call, "format"), lwm2mPath(rest, 0)));
        }
    }

    private void put(Call call, Registration registration, List<String> rest) {
        if (rest.equals(List.of("composite"))) {
            call.withBody(body -> guarded(call, () -> writeComposite(call, registration, body)));
        } else if (rest.size() >= 2 && last(rest).equals("attributes")) {
            writeAttributes(call, registration, lwm2mPath(rest, 1));
        } else if (rest.size() >= 2) {
            String path = lwm2mPath(rest, 0);
            boolean replace = !"false".equalsIgnoreCase(call.query.getOrDefault("replace", "true"));
            if (call.query.containsKey("package")) {
                call.withBody(body -> guarded(call, () -> push(call, registration, new LwM2mPath(path), replace, body)));
                return;
            }
            call.withBody(body -> guarded(call, () -> {
                send(call, registration, new WriteRequest(replace ? Mode.REPLACE : Mode.UPDATE, format(call, "format"),
                        path, node(call, registration, new LwM2mPath(path), body)));
            }));
        } else {
            invalidPath(call);
        }
    }

    private void push(Call call, Registration registration, LwM2mPath path, boolean replace, byte[] body) {
        String sha256 = call.query.get("package");
        if (!PackageStore.isHash(sha256)) {
            throw new InvalidRequestException("package must be a SHA-256 of 64 hexadecimal digits in lower case");
        }
        if (body.length > 0) {
            throw new InvalidRequestException("package names what is to be written: the body must be empty");
        }
        if (!path.isResource()) {
            throw new InvalidRequestException("a package can be written to a resource only, such as /5/0/0");
        }
        PackageStore.Stored stored = packages.find(sha256);
        if (stored == null) {
            call.text(400, "there is no package " + sha256 + ": PUT /api/packages/" + sha256 + " first");
        } else {
            sender.push(call, registration, path, replace, stored);
        }
    }

    private void post(Call call, Registration registration, List<String> rest) {
        if (rest.equals(List.of("composite", "observe"))) {
            send(call, registration, new ObserveCompositeRequest(format(call, "pathformat"), format(call, "nodeformat"),
                    LwM2mPath.getLwM2mPathList(paths(call))));
        } else if (rest.size() >= 2 && last(rest).equals("observe")) {
            send(call, registration, new ObserveRequest(format(call, "format"), lwm2mPath(rest, 1)));
        } else if (rest.size() == 3) {
            String path = lwm2mPath(rest, 0);
            call.withBody(body -> guarded(call, () -> send(call, registration, new ExecuteRequest(path,
                    body.length == 0 ? null : new String(body, StandardCharsets.UTF_8)))));
        } else if (rest.size() == 1) {
            String path = lwm2mPath(rest, 0);
            call.withBody(body -> guarded(call, () -> create(call, registration, path, body)));
        } else {
            invalidPath(call);
        }
    }

    private void delete(Call call, Registration registration, List<String> rest) {
        ObservationService observations = lwm2m.leshan().getObservationService();
        boolean active = call.query.containsKey("active");
        if (rest.equals(List.of("composite", "observe"))) {
            List<String> paths = paths(call);
            if (!active) {
                observations.cancelCompositeObservations(registration, paths.toArray(String[]::new));
                call.empty(200);
                return;
            }
            List<LwM2mPath> wanted = LwM2mPath.getLwM2mPathList(paths);
            Optional<CompositeObservation> observation = observations.getObservations(registration).stream()
                    .filter(CompositeObservation.class::isInstance).map(CompositeObservation.class::cast)
                    .filter(each -> each.getPaths().equals(wanted)).findFirst();
            if (observation.isPresent()) {
                send(call, registration, new CancelCompositeObservationRequest(observation.get()),
                        () -> observations.cancelCompositeObservations(registration, paths.toArray(String[]::new)));
            } else {
                call.text(404, "no composite observation for paths %s for client '%s'".formatted(paths,
                        registration.getEndpoint()));
            }
        } else if (rest.size() >= 2 && last(rest).equals("observe")) {
            String path = lwm2mPath(rest, 1);
            if (!active) {
                observations.cancelObservations(registration, path);
                call.empty(200);
                return;
            }
            LwM2mPath wanted = new LwM2mPath(path);
            Optional<SingleObservation> observation = observations.getObservations(registration).stream()
                    .filter(SingleObservation.class::isInstance).map(SingleObservation.class::cast)
                    .filter(each -> each.getPath().equals(wanted)).findFirst();
            if (observation.isPresent()) {
                send(call, registration, new CancelObservationRequest(observation.get()),
                        () -> observations.cancelObservations(registration, path));
            } else {
                call.text(404, "no observation for path %s for client '%s'".formatted(path, registration.getEndpoint()));
            }
        } else if (!rest.isEmpty()) {
            send(call, registration, new DeleteRequest(lwm2mPath(rest, 0)));
        } else {
            invalidPath(call);
        }
    }

    private void writeAttributes(Call call, Registration registration, String path) {
        List<String> parameters = call.query.entrySet().stream().filter(entry -> !entry.getKey().equals("timeout"))
                .map(entry -> entry.getValue() == null ? entry.getKey() : entry.getKey() + "=" + entry.getValue())
                .toList();
        try {
            send(call, registration, new WriteAttributesRequest(path,
                    new LwM2mAttributeSet(attributes.parseQueryParams(parameters))));
        } catch (InvalidAttributeException | IllegalArgumentException e) {
            call.text(400, "Invalid attributes: " + e.getMessage());
        }
    }

    /** Values of several instances of a resource are written as what they are on the wire: resource instances. */
    private void writeComposite(Call call, Registration registration, byte[] body) {
        JsonNode json = parse(body);
        if (!json.isObject()) {
            throw new InvalidRequestException("a JSON object of nodes by path is expected");
        }
        NodeReader reader = new NodeReader(lwm2m.model(registration));
        Map<LwM2mPath, LwM2mNode> nodes = new LinkedHashMap<>();
        json.properties().forEach(entry -> {
            LwM2mPath path = new LwM2mPath(entry.getKey());
            LwM2mChildNode node = reader.read(entry.getValue(), path);
            if (node instanceof LwM2mResource resource && resource.isMultiInstances()) {
                resource.getInstances().forEach((id, instance) -> nodes.put(path.append(id), instance));
            } else {
                nodes.put(path, node);
            }
        });
        send(call, registration, new WriteCompositeRequest(format(call, "nodeformat"), nodes, null));
    }

    private void create(Call call, Registration registration, String path, byte[] body) {
        LwM2mChildNode node = node(call, registration, new LwM2mPath(path), body);
        if (!(node instanceof LwM2mObjectInstance instance)) {
            throw new InvalidRequestException("payload must contain an object instance");
        }
        ContentFormat format = format(call, "format");
        send(call, registration, instance.getId() == LwM2mObjectInstance.UNDEFINED
                ? new CreateRequest(format, path, instance.getResources().values())
                : new CreateRequest(format, path, instance));
    }

    private LwM2mChildNode node(Call call, Registration registration, LwM2mPath path, byte[] body) {
        switch (call.contentType()) {
        case "application/json":
            return new NodeReader(lwm2m.model(registration)).read(parse(body), path);
        case "text/plain":
            return LwM2mSingleResource.newStringResource(resourceId(path),
                    new String(body, StandardCharsets.UTF_8));
        case "application/octet-stream":
            return LwM2mSingleResource.newBinaryResource(resourceId(path), body);
        default:
            throw new InvalidRequestException("content type %s not supported",
                    call.contentType().isEmpty() ? "(none)" : call.contentType());
        }
    }

    private static int resourceId(LwM2mPath path) {
        if (!path.isResource()) {
            throw new InvalidRequestException("only a resource can be written as text or bytes");
        }
        return path.getResourceId();
    }

    private static JsonNode parse(byte[] body) {
        try {
            return Json.MAPPER.readTree(body);
        } catch (JsonProcessingException e) {
            throw new InvalidRequestException(e, "unable to parse json: %s", e.getOriginalMessage());
        } catch (IOException e) {
            throw new InvalidRequestException(e, "unable to parse json: %s", e.getMessage());
        }
    }

    private void setAwakeWindow(Call call, String endpoint, byte[] body) {
        guarded(call, () -> {
            JsonNode seconds = parse(body).path("seconds");
            if (!seconds.isInt()) {
                throw new InvalidRequestException("{\"seconds\": a whole number} is expected");
            }
            try {
                lwm2m.setAwakeWindow(endpoint, seconds.intValue());
                call.empty(204);
            } catch (IOException e) {
                call.failed(e);
            }
        });
    }

    private <T extends LwM2mResponse> void send(Call call, Registration registration,
            DownlinkDeviceManagementRequest<T> request) {
        send(call, registration, request, () -> {
        });
    }

    /** @param onSuccess runs if the device did it, before the caller is told */
    private <T extends LwM2mResponse> void send(Call call, Registration registration,
            DownlinkDeviceManagementRequest<T> request, Runnable onSuccess) {
        sender.send(call, registration, request, onSuccess);
    }

    private static void guarded(Call call, Runnable action) {
        try {
            action.run();
        } catch (RuntimeException e) {
            Failure.of(e).answer(call);
        }
    }

    private static void invalidPath(Call call) {
        call.text(400, "Invalid path");
    }

    private static String last(List<String> segments) {
        return segments.get(segments.size() - 1);
    }

    private static String lwm2mPath(List<String> segments, int without) {
        return "/" + String.join("/", segments.subList(0, segments.size() - without));
    }

    private static List<String> paths(Call call) {
        String paths = call.query.get("paths");
        if (paths == null || paths.isEmpty()) {
            throw new InvalidRequestException("the parameter paths is missing");
        }
        return Arrays.asList(paths.split(","));
    }

    private static ContentFormat format(Call call, String parameter) {
        String name = call.query.get(parameter);
        if (name == null) {
            // a single value has a default of the library's, a composite has none
            return parameter.equals("format") ? null : ContentFormat.SENML_CBOR;
        }
        ContentFormat format = ContentFormat.fromName(name.toUpperCase(Locale.ROOT));
        if (format == null) {
            throw new InvalidRequestException("unknown %s '%s'", parameter, name);
        }
        return format;
    }
}
