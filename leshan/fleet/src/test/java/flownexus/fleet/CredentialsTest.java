package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CredentialsTest {

    @TempDir
    private Path root;

    @ParameterizedTest
    @CsvSource({ "sim-1,sim-1", "urn:imei:12,urn%3Aimei%3A12", "a b/c,a%20b%2Fc", "ü,%C3%BC", "~x_y.z,~x_y.z",
            "..,%2E%2E", "...,...", "50%,50%25" })
    void foldersArePercentEncoded(String endpoint, String folder) {
        assertEquals(folder, Credentials.percentEncoded(endpoint));
    }

    private Path psk(String identity, String key) throws IOException {
        Path folder = Files.createDirectories(Credentials.folder(root, "a/b"));
        Files.writeString(folder.resolve("psk.identity"), identity);
        Files.writeString(folder.resolve("psk.key"), key);
        return folder;
    }

    @Test
    void preSharedKeysAreHex() throws IOException {
        psk("me\n", "00fF10\n");
        Credentials.PreSharedKey loaded = Credentials.loadPsk(root, "a/b");
        assertEquals("me", loaded.identity());
        assertArrayEquals(new byte[] { 0, -1, 16 }, loaded.key());
    }

    @Test
    void whatIsWrongIsSaidInOneLine() throws IOException {
        assertProblem("psk.identity is missing", () -> Credentials.loadPsk(root, "nobody"));
        assertProblem("cert.pem is missing", () -> Credentials.loadCertificate(root, "nobody"));
        Path folder = psk("me", "not hex");
        assertProblem("psk.key does not hold a key in hex", () -> Credentials.loadPsk(root, "a/b"));
        psk("", "00");
        assertProblem("holds an empty PSK identity or key", () -> Credentials.loadPsk(root, "a/b"));
        Files.writeString(folder.resolve("cert.pem"), "nonsense");
        assertProblem("cert.pem is not a certificate", () -> Credentials.loadCertificate(root, "a/b"));
    }

    private static void assertProblem(String part, Runnable action) {
        String message = assertThrows(IllegalArgumentException.class, action::run).getMessage();
        assertTrue(message.contains(part), message);
        assertEquals(1, message.lines().count());
    }
}
