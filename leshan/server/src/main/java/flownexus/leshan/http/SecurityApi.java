package flownexus.leshan.http;

import java.io.IOException;
import java.security.cert.CertificateEncodingException;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPublicKey;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

import org.eclipse.leshan.core.endpoint.EndpointUri;
import org.eclipse.leshan.server.endpoint.LwM2mServerEndpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;

import flownexus.leshan.StartException;
import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.json.Json;
import flownexus.leshan.security.Credential;
import flownexus.leshan.security.CredentialStore;

/** {@code /api/security} and {@code /api/server}: who may connect, where to, and what the server proves itself with. */
final class SecurityApi {

    private static final String SECURED = "securedEndpointPort";
    private static final String UNSECURED = "unsecuredEndpointPort";

    private final LwM2mService lwm2m;
    private final CredentialStore credentials;
    private final X509Certificate certificate;

    SecurityApi(LwM2mService lwm2m, CredentialStore credentials, X509Certificate certificate) {
        this.lwm2m = lwm2m;
        this.credentials = credentials;
        this.certificate = certificate;
    }

    void handleSecurity(Call call) {
        if (call.path.equals(List.of("clients"))) {
            switch (call.method()) {
            case "GET" -> list(call);
            case "PUT" -> call.withBody(body -> put(call, body));
            default -> call.text(405, "Method not allowed");
            }
        } else if (call.path.size() == 2 && call.path.get(0).equals("clients") && call.method().equals("DELETE")) {
            remove(call, call.path.get(1));
        } else if (call.path.equals(List.of("server")) && call.method().equals("GET")) {
            serverSecurity(call);
        } else {
            call.text(400, "Invalid path");
        }
    }

    void handleServer(Call call) {
        if (call.method().equals("GET") && call.path.equals(List.of("endpoint"))) {
            endpoints(call);
        } else if (call.method().equals("GET") && call.path.equals(List.of("security"))) {
            serverSecurity(call);
        } else {
            call.text(400, "Invalid path");
        }
    }

    private void list(Call call) {
        call.json(json -> {
            json.writeStartArray();
            for (Credential credential : credentials.all()) {
                json.writeTree(listed(credential));
            }
            json.writeEndArray();
        });
    }

    /** Without keys; as in the contract, and beside it as the demo server's pages (2.0.0-M4) read it. */
    private static ObjectNode listed(Credential credential) {
        ObjectNode json = credential.toJson(false);
        switch (credential.mode()) {
        case PSK -> json.putObject("psk").put("identity", credential.pskIdentity());
        case RPK -> json.set("rpk", json.at("/tls/details").deepCopy());
        case X509 -> json.put("x509", true);
        case NOSEC -> {
            // those pages know of no such entry, and show it as unsupported
        }
        }
        return json;
    }

    /** A body of the older shape cannot name certificates: those that are pinned stay so. */
    private Credential parsed(JsonNode json) {
        Credential credential = Credential.parse(json);
        Credential before = credentials.byEndpoint(credential.endpoint());
        boolean unpins = !json.has("tls") && before != null && credential.mode() == Credential.Mode.X509
                && before.mode() == Credential.Mode.X509;
        return unpins ? before : credential;
    }

    private void put(Call call, byte[] body) {
        boolean array;
        try {
            JsonNode json = Json.MAPPER.readTree(body);
            array = json.isArray();
            List<Credential> parsed = new ArrayList<>();
            for (JsonNode each : array ? json : List.of(json)) {
                parsed.add(parsed(each));
            }
            credentials.put(parsed);
        } catch (JsonProcessingException e) {
            call.text(400, "Invalid request body: " + e.getOriginalMessage());
            return;
        } catch (IllegalArgumentException e) {
            call.text(400, "Invalid request body: " + e.getMessage());
            return;
        } catch (IOException e) {
            call.text(500, "Unexpected exception: the credentials cannot be written: " + e.getMessage());
            return;
        }
        if (!credentials.isEmpty()) {
            try {
                lwm2m.openCoaps();
            } catch (StartException e) {
                call.text(500, "Unexpected exception: " + e.getMessage());
                return;
            }
        }
        call.empty(array ? 204 : 200);
    }

    private void remove(Call call, String endpoint) {
        try {
            if (credentials.remove(endpoint)) {
                call.empty(200);
            } else {
                call.json(json -> {
                    json.writeStartObject();
                    json.writeStringField("message", "not_found");
                    json.writeEndObject();
                });
            }
        } catch (IOException e) {
            call.text(500, "Unexpected exception: the credentials cannot be written: " + e.getMessage());
        }
    }

    private void endpoints(Call call) {
        if ("ports".equals(call.query.get("shape"))) {
            ports(call);
            return;
        }
        ArrayNode list = Json.MAPPER.createArrayNode();
        for (LwM2mServerEndpoint endpoint : lwm2m.leshan().getEndpoints()) {
            EndpointUri uri = endpoint.getURI();
            ObjectNode each = list.addObject();
            each.putObject("uri").put("full", uri.toString()).put("scheme", uri.getScheme()).put("host", uri.getHost())
                    .put("port", uri.getPort());
            each.put("description", endpoint.getDescription());
        }
        call.json(json -> json.writeTree(list));
    }

    /** As before M5: the first port of each kind. What is not open says so where those pages show the port. */
    private void ports(Call call) {
        ObjectNode ports = Json.MAPPER.createObjectNode().put(UNSECURED, "(not open)").put(SECURED, "(not open)");
        for (LwM2mServerEndpoint endpoint : lwm2m.leshan().getEndpoints()) {
            EndpointUri uri = endpoint.getURI();
            String name = uri.getScheme().equals("coaps") ? SECURED : UNSECURED;
            if (!ports.get(name).isInt()) {
                ports.put(name, uri.getPort());
            }
        }
        call.json(json -> json.writeTree(ports));
    }

    private void serverSecurity(Call call) {
        ObjectNode security = Json.MAPPER.createObjectNode();
        ObjectNode node = security.putObject("certificate");
        ECPublicKey key = (ECPublicKey) certificate.getPublicKey();
        node.putObject("pubkey").put("x", key.getW().getAffineX().toString(16))
                .put("y", key.getW().getAffineY().toString(16)).put("params", key.getParams().toString())
                .put("b64Der", Base64.getEncoder().encodeToString(key.getEncoded()));
        try {
            node.put("b64Der", Base64.getEncoder().encodeToString(certificate.getEncoded()));
        } catch (CertificateEncodingException e) {
            throw new IllegalStateException(e);
        }
        call.json(json -> json.writeTree(security));
    }
}
