package flownexus.leshan;

import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.List;

import com.fasterxml.jackson.databind.JsonNode;

import flownexus.leshan.json.Json;

/** A whole server in this process, with its own certificate authority. */
final class TestServer implements AutoCloseable {

    static final String TOKEN = "a-token-for-tests";

    final TestPki pki = new TestPki("Test CA");
    final Path folder;
    final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1)
            .connectTimeout(Duration.ofSeconds(5)).build();
    private final X509Certificate certificate;
    private final boolean lab;
    private Application application;

    TestServer(Path folder, boolean lab) throws IOException {
        this.folder = folder;
        this.lab = lab;
        TestPki.Issued own = pki.server();
        certificate = own.certificate();
        TestPki.write(own, folder, "server");
        pki.writeCa(folder);
        Files.writeString(folder.resolve("token"), TOKEN + "\nsecond line\n");
        start();
    }

    X509Certificate serverCertificate() {
        return certificate;
    }

    Options options() {
        Options options = new Options();
        options.data = folder.resolve("data");
        options.certificate = folder.resolve("server.pem");
        options.key = folder.resolve("server.key.pem");
        options.anchors = folder.resolve("ca.pem");
        options.tokenFile = lab ? null : folder.resolve("token");
        options.coapsHosts = List.of("127.0.0.1");
        options.coapHosts = List.of("127.0.0.1");
        options.coapPort = 0;
        options.httpHost = "127.0.0.1";
        options.journalMebibytes = 8;
        options.awakeSeconds = 93;
        options.packageMebibytes = 4;
        options.lab = lab;
        options.logLevel = Options.LogLevel.info;
        return options;
    }

    void start() {
        application = Application.start(options());
    }

    void stop() {
        application.stop();
    }

    @Override
    public void close() {
        stop();
    }

    Application application() {
        return application;
    }

    String readyLine() {
        return application.readyLine();
    }

    String coaps() {
        return "coaps://127.0.0.1:" + application.coapsPort();
    }

    String coap() {
        return "coap://127.0.0.1:" + application.coapPort();
    }

    int coapsPort() {
        return application.coapsPort();
    }

    HttpRequest.Builder request(String pathAndQuery) {
        return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + application.httpPort() + pathAndQuery))
                .header("Authorization", "Bearer " + TOKEN).timeout(Duration.ofSeconds(30));
    }

    HttpResponse<String> call(String method, String pathAndQuery, String body) throws Exception {
        HttpRequest.BodyPublisher content = body == null ? HttpRequest.BodyPublishers.noBody()
                : HttpRequest.BodyPublishers.ofString(body);
        return http.send(request(pathAndQuery).header("Content-Type", "application/json").method(method, content).build(),
                HttpResponse.BodyHandlers.ofString());
    }

    /** Asks a device, to be answered later. */
    HttpResponse<String> later(String id, String method, String pathAndQuery, String body) throws Exception {
        return http.send(laterRequest(id, method, pathAndQuery, body), HttpResponse.BodyHandlers.ofString());
    }

    HttpRequest laterRequest(String id, String method, String pathAndQuery, String body) {
        return request(pathAndQuery).header("Content-Type", "application/json").header("Prefer", "respond-async")
                .header("Request-Id", id).method(method, body == null ? HttpRequest.BodyPublishers.noBody()
                        : HttpRequest.BodyPublishers.ofString(body)).build();
    }

    HttpResponse<String> get(String pathAndQuery) throws Exception {
        return call("GET", pathAndQuery, null);
    }

    JsonNode json(String method, String pathAndQuery, String body) throws Exception {
        HttpResponse<String> response = call(method, pathAndQuery, body);
        if (response.statusCode() != 200) {
            throw new AssertionError(method + " " + pathAndQuery + ": " + response.statusCode() + " " + response.body());
        }
        return Json.MAPPER.readTree(response.body());
    }

    /** Puts one or several credentials, in JSON with single quotes. */
    void provision(String credentials) throws Exception {
        HttpResponse<String> response = call("PUT", "/api/security/clients", credentials.replace('\'', '"'));
        if (response.statusCode() / 100 != 2) {
            throw new AssertionError(response.statusCode() + " " + response.body());
        }
    }

    void provisionX509(String endpoint) throws Exception {
        call("PUT", "/api/security/clients", Json.MAPPER.createObjectNode().put("endpoint", endpoint)
                .set("tls", Json.MAPPER.createObjectNode().put("mode", "x509")).toString());
    }

    boolean registered(String endpoint) throws Exception {
        return get("/api/clients/" + encoded(endpoint)).statusCode() == 200;
    }

    static String encoded(String endpoint) {
        return URLEncoder.encode(endpoint, StandardCharsets.UTF_8).replace("+", "%20");
    }
}
