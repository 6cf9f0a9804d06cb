package flownexus.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import picocli.CommandLine;

/** What keeps a server from starting, and that it is said in one line. */
class StartTest {

    @TempDir
    static Path folder;

    private static TestServer running;

    @BeforeAll
    static void start() throws Exception {
        running = new TestServer(folder, false);
    }

    @AfterAll
    static void end() {
        running.close();
    }

    private static String fails(Consumer<Options> change) {
        Options options = running.options();
        options.data = folder.resolve("other");
        change.accept(options);
        StartException failure = assertThrows(StartException.class, () -> Application.start(options));
        assertFalse(failure.getMessage().contains("\n"), failure.getMessage());
        return failure.getMessage();
    }

    @Test
    void unusableKeysAndCertificates() throws Exception {
        TestPki.write(running.pki.issue("localhost", KeyPurposeId.id_kp_serverAuth, -200, -100), folder, "expired");
        TestPki.write(running.pki.issue("localhost", KeyPurposeId.id_kp_serverAuth, 100, 200), folder, "early");
        TestPki.write(running.pki.device("d"), folder, "device");
        Files.writeString(folder.resolve("text"), "hello");
        assertTrue(fails(options -> options.certificate = folder.resolve("no")).contains("cannot be read"));
        assertTrue(fails(options -> options.certificate = folder.resolve("text")).contains("--cert"));
        assertTrue(fails(options -> options.anchors = folder.resolve("text")).contains("--ca"));
        assertTrue(fails(options -> options.key = folder.resolve("text")).contains("private key"));
        assertTrue(fails(options -> options.key = folder.resolve("device.key.pem")).contains("is not the key of"));
        assertTrue(fails(options -> {
            options.certificate = folder.resolve("expired.pem");
            options.key = folder.resolve("expired.key.pem");
        }).contains("expired on"));
        assertTrue(fails(options -> {
            options.certificate = folder.resolve("early.pem");
            options.key = folder.resolve("early.key.pem");
        }).contains("not valid before"));
        assertTrue(fails(options -> {
            options.certificate = folder.resolve("device.pem");
            options.key = folder.resolve("device.key.pem");
        }).contains("serverAuth"));
    }

    @Test
    void portsThatAreInUse() throws Exception {
        try (DatagramSocket udp = new DatagramSocket(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0));
                ServerSocket tcp = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
            assertTrue(fails(options -> options.coapsPort = udp.getLocalPort())
                    .startsWith("coaps port " + udp.getLocalPort() + " cannot be opened"));
            assertTrue(fails(options -> options.coapPort = udp.getLocalPort()).startsWith("coap port"));
            assertTrue(fails(options -> options.httpPort = tcp.getLocalPort()).startsWith("http port"));
        }
    }

    @Test
    void flagsThatMakeNoSense() throws Exception {
        assertTrue(fails(options -> options.tokenFile = null).contains("--token-file is required"));
        assertTrue(fails(options -> {
            options.tokenFile = null;
            options.lab = true;
            options.httpHost = "0.0.0.0";
        }).contains("--token-file is required"));
        Files.writeString(folder.resolve("empty"), "\n");
        assertTrue(fails(options -> options.tokenFile = folder.resolve("empty")).contains("no token"));
        assertTrue(fails(options -> options.coapsPort = 70000).contains("--coaps-port"));
        assertTrue(fails(options -> options.journalMebibytes = 0).contains("--journal-size"));
        assertTrue(fails(options -> options.awakeSeconds = 0).contains("--awake-seconds"));
        assertTrue(fails(options -> options.packageMebibytes = 0).contains("--package-limit"));
        assertTrue(fails(options -> options.packageHost = "a/b").contains("--package-host"));
        assertTrue(fails(options -> options.models = List.of(folder.resolve("none"))).contains("is not a folder"));
        assertTrue(fails(options -> options.httpHost = "not an address").contains("--http-host"));
        assertTrue(fails(options -> options.data = running.options().data).contains("used by another server"));
    }

    @Test
    void credentialsThatCannotBeUnderstood() throws Exception {
        Path data = Files.createDirectory(folder.resolve("damaged"));
        Files.writeString(data.resolve("credentials.json"), "[{]");
        assertTrue(fails(options -> options.data = data).contains("credentials.json"));
    }

    @Test
    void grantsThatCannotBeUnderstood() throws Exception {
        Path data = Files.createDirectory(folder.resolve("damaged-grants"));
        Files.writeString(data.resolve("grants.json"), "[{]");
        assertTrue(fails(options -> options.data = data).contains("grants.json"));
    }

    @Test
    void everyFlagHasADescription() {
        CommandLine.Model.CommandSpec spec = new CommandLine(new Options()).getCommandSpec();
        assertTrue(spec.options().size() > 14);
        spec.options().forEach(option -> assertTrue(option.description().length > 0, () -> option.longestName()));
        assertEquals("256", spec.findOption("--journal-size").defaultValue());
    }
}
