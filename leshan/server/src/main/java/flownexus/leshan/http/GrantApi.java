package flownexus.leshan.http;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.util.List;
import java.util.regex.Pattern;

import org.eclipse.leshan.core.endpoint.EndpointUri;
import org.eclipse.leshan.core.request.exception.InvalidRequestException;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.packages.GrantStore;
import flownexus.leshan.packages.GrantStore.Grant;
import flownexus.leshan.packages.PackageStore;

/** {@code /api/clients/{ep}/grants}: which packages a device may fetch, and from where. */
final class GrantApi {

    /** A name, an IPv4 address, or an IPv6 address without brackets. */
    private static final Pattern HOST = Pattern.compile("[A-Za-z0-9._-]+|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*");
    /** LwM2M 1.1, Package URI: devices take up to 255, Zephyr in its smallest configuration 127. */
    private static final int MAX_URI_LENGTH = 127;

    private final LwM2mService lwm2m;
    private final PackageStore packages;
    private final GrantStore grants;
    private final String host;

    /** @param host that devices reach this server at; null if that is to be found out for each */
    GrantApi(LwM2mService lwm2m, PackageStore packages, GrantStore grants, String host) {
        this.lwm2m = lwm2m;
        this.packages = packages;
        this.grants = grants;
        this.host = host;
    }

    /** Whether that can be the host of an address. */
    static boolean isHost(String text) {
        return HOST.matcher(text).matches();
    }

    /** @param rest the segments below {@code grants} */
    void handle(Call call, String endpoint, List<String> rest) {
        Registration registration = lwm2m.registration(endpoint);
        if (rest.isEmpty()) {
            if (call.method().equals("GET")) {
                list(call, endpoint, registration);
            } else {
                call.text(405, "Method not allowed");
            }
            return;
        }
        String sha256 = rest.get(0);
        if (rest.size() != 1 || !PackageStore.isHash(sha256)) {
            call.text(400, "Invalid path: grants/{sha256} is expected, with 64 hexadecimal digits in lower case");
            return;
        }
        try {
            switch (call.method()) {
            case "PUT" -> put(call, endpoint, registration, sha256);
            case "DELETE" -> {
                if (grants.remove(endpoint, sha256)) {
                    call.empty(204);
                } else {
                    call.text(404, "no grant of package " + sha256 + " to '" + endpoint + "'");
                }
            }
            default -> call.text(405, "Method not allowed");
            }
        } catch (IOException e) {
            call.text(500, "Unexpected exception: the grants cannot be written: " + e.getMessage());
        }
    }

    private void list(Call call, String endpoint, Registration registration) {
        String reached = host(call, registration);
        call.json(json -> {
            json.writeStartArray();
            for (Grant each : grants.of(endpoint)) {
                write(json, each, registration == null ? null : uri(registration, reached, each));
            }
            json.writeEndArray();
        });
    }

    private void put(Call call, String endpoint, Registration registration, String sha256) throws IOException {
        if (packages.find(sha256) == null) {
            call.text(404, "no package " + sha256 + ": PUT /api/packages/" + sha256 + " first");
        } else if (registration == null) {
            call.text(400, "No registered client with id '" + endpoint + "'");
        } else {
            String reached = host(call, registration);
            Grant grant = grants.grant(endpoint, sha256);
            if (grant == null) {
                call.text(404, "no package " + sha256 + ": it has just been removed");
                return;
            }
            String uri = uri(registration, reached, grant);
            if (uri.length() > MAX_URI_LENGTH) {
                throw new InvalidRequestException("the host is too long: the address may have at most %d characters",
                        MAX_URI_LENGTH);
            }
            call.json(json -> write(json, grant, uri));
        }
    }

    private static void write(JsonGenerator json, Grant grant, String uri) throws IOException {
        json.writeStartObject();
        if (uri != null) {
            json.writeStringField("uri", uri);
        }
        json.writeStringField("sha256", grant.stored().sha256());
        json.writeNumberField("size", grant.stored().size());
        json.writeEndObject();
    }

    private static String uri(Registration registration, String reached, Grant grant) {
        EndpointUri local = registration.getEndpointUri();
        return local.getScheme() + "://" + (reached.indexOf(':') < 0 ? reached : "[" + reached + "]") + ":"
                + local.getPort() + "/fw/" + grant.token();
    }

    private String host(Call call, Registration registration) {
        String asked = call.query.get("host");
        if (asked != null && !isHost(asked)) {
            throw new InvalidRequestException("host must be a name or an address (IPv6 without brackets)");
        }
        if (asked != null || host != null) {
            return asked != null ? asked : host;
        }
        return registration == null ? "" : towards(registration.getSocketAddress());
    }

    /** The address of this machine that packets to another leave from; nothing is sent. */
    private static String towards(InetSocketAddress device) {
        try (DatagramSocket socket = new DatagramSocket()) {
            socket.connect(device);
            InetAddress local = socket.getLocalAddress();
            String address = local.getHostAddress();
            int zone = address.indexOf('%');
            return zone < 0 ? address : address.substring(0, zone);
        } catch (SocketException e) {
            throw new InvalidRequestException(e, "no way to %s is known: name the host (?host= or --package-host)",
                    device.getAddress().getHostAddress());
        }
    }
}
