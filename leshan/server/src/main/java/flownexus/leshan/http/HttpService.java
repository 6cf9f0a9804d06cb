package flownexus.leshan.http;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;

import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.http.UriCompliance;
import org.eclipse.jetty.server.Handler;
import org.eclipse.jetty.server.HttpConfiguration;
import org.eclipse.jetty.server.HttpConnectionFactory;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.thread.QueuedThreadPool;

import flownexus.leshan.StartException;
import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.events.EventLog;
import flownexus.leshan.models.ModelStore;
import flownexus.leshan.packages.GrantStore;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.requests.RequestService;
import flownexus.leshan.security.CredentialStore;

/** The HTTP side: one connector, one token, and the routes. */
public final class HttpService {

    private static final int MAX_THREADS = 32;
    private static final int STREAM_THREADS = 2;

    private final Server server;
    private final ServerConnector connector;
    private final InetSocketAddress address;
    private final byte[] tokenHash;
    private final EventLog events;
    private final LwM2mService lwm2m;
    private final DeviceApi devices;
    private final SecurityApi security;
    private final ObjectSpecApi objectSpecs;
    private final RequestApi requests;
    private final ModelApi models;
    private final PackageApi packages;
    private final DemoPages pages = new DemoPages();
    private final EventStreams streams;
    private final ExecutorService streamExecutor;

    /**
     * What devices can be updated with.
     *
     * @param host that they are told to fetch it from; null if that is to be found out for each
     */
    public record Packages(PackageStore store, GrantStore grants, String host) {

        /** @throws StartException if the host cannot be part of an address */
        public Packages {
            if (host != null && !GrantApi.isHost(host)) {
                throw new StartException("--package-host must be a name or an address (IPv6 without brackets)");
            }
        }
    }

    /** @param token that every call must carry, or null for none */
    public HttpService(InetSocketAddress address, String token, LwM2mService lwm2m, CredentialStore credentials,
            ModelStore models, RequestService requests, Packages packages, X509Certificate certificate, EventLog events,
            ScheduledExecutorService timer) {
        this.address = address;
        this.tokenHash = token == null ? null : sha256(token);
        this.lwm2m = lwm2m;
        this.events = events;
        this.devices = new DeviceApi(lwm2m, requests, packages.store, new GrantApi(lwm2m, packages.store, packages.grants,
                packages.host));
        this.packages = new PackageApi(packages.store, packages.grants);
        this.security = new SecurityApi(lwm2m, credentials, certificate);
        this.objectSpecs = new ObjectSpecApi(lwm2m);
        this.models = new ModelApi(models);
        this.requests = new RequestApi(requests);
        this.streamExecutor = Executors.newFixedThreadPool(STREAM_THREADS, task -> new Thread(task, "event-streams"));
        this.streams = new EventStreams(events, streamExecutor, timer);

        QueuedThreadPool threads = new QueuedThreadPool(MAX_THREADS, 4);
        threads.setName("http");
        server = new Server(threads);
        HttpConfiguration configuration = new HttpConfiguration();
        configuration.setSendServerVersion(false);
        configuration.setSendDateHeader(false);
        // endpoint names may hold anything: paths are split here, before they are decoded, and no file of the disk is served
        configuration.setUriCompliance(UriCompliance.UNSAFE);
        connector = new ServerConnector(server, 1, 1, new HttpConnectionFactory(configuration));
        connector.setHost(address.getAddress().getHostAddress());
        connector.setPort(address.getPort());
        server.addConnector(connector);
        server.setHandler(new Routes());
    }

    /**
     * Opens the port.
     *
     * @return the port
     * @throws StartException if it is not free
     */
    public int start() {
        try {
            connector.open();
        } catch (IOException e) {
            throw new StartException("http port %d cannot be opened on %s: is another process using it? (--http-port)"
                    .formatted(address.getPort(), address.getHostString()), e);
        }
        try {
            server.start();
        } catch (Exception e) {
            throw new StartException("http cannot be started: " + e.getMessage(), e);
        }
        return connector.getLocalPort();
    }

    public void stop() {
        streams.close();
        try {
            server.setStopTimeout(0);
            server.stop();
        } catch (Exception e) {
            throw new IllegalStateException(e);
        } finally {
            streamExecutor.shutdownNow();
        }
    }

    private static byte[] sha256(String text) {
        try {
            return MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }

    private final class Routes extends Handler.Abstract {

        @Override
        public boolean handle(Request request, Response response, Callback callback) {
            Call call;
            List<String> path;
            try {
                String raw = request.getHttpURI().getPath();
                path = "/".equals(raw) ? List.of() : RawPath.segments(raw);
                call = new Call(request, response, callback, path.size() < 2 ? List.of() : path.subList(2, path.size()),
                        RawPath.query(request.getHttpURI().getQuery()));
            } catch (IllegalArgumentException e) {
                new Call(request, response, callback, List.of(), Map.of())
                        .text(400, "Invalid path: " + e.getMessage());
                return true;
            }
            if (path.equals(List.of("healthz"))) {
                health(call);
                return true;
            }
            if (!authorized(request)) {
                response.getHeaders().put(HttpHeader.WWW_AUTHENTICATE, "Bearer");
                call.text(401, "a valid bearer token is required");
                return true;
            }
            if (path.isEmpty() || !path.get(0).equals("api")) {
                pages.handle(call, path);
                return true;
            }
            switch (path.size() == 1 ? "" : path.get(1)) {
            case "clients" -> devices.handle(call);
            case "event" -> streams.handle(call);
            case "security" -> security.handleSecurity(call);
            case "server" -> security.handleServer(call);
            case "objectspecs" -> objectSpecs.handle(call);
            case "models" -> models.handle(call);
            case "packages" -> packages.handle(call);
            case "requests" -> requests.handle(call);
            default -> call.text(404, "Not found");
            }
            return true;
        }

        private boolean authorized(Request request) {
            if (tokenHash == null) {
                return true;
            }
            String header = request.getHeaders().get(HttpHeader.AUTHORIZATION);
            if (header == null || !header.regionMatches(true, 0, "Bearer ", 0, 7)) {
                return false;
            }
            // of the hashes, so that neither content nor length of the token can be timed
            return MessageDigest.isEqual(tokenHash, sha256(header.substring(7).strip()));
        }

        private void health(Call call) {
            call.json(json -> {
                json.writeStartObject();
                json.writeStringField("status", "ok");
                json.writeStringField("journal", events.journal().id());
                json.writeNumberField("first", events.journal().first());
                json.writeNumberField("last", events.journal().last());
                json.writeNumberField("listeners", streams.listeners());
                json.writeBooleanField("coaps", lwm2m.isCoapsOpen());
                json.writeEndObject();
            });
        }
    }
}
