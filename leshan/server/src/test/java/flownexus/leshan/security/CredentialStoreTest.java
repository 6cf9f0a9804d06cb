package flownexus.leshan.security;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import flownexus.leshan.json.Json;

class CredentialStoreTest {

    @TempDir
    Path folder;

    private Path file() {
        return folder.resolve("credentials.json");
    }

    private static Credential credential(String json) throws IOException {
        return Credential.parse(Json.MAPPER.readTree(json.replace('\'', '"')));
    }

    @Test
    void keepsCredentialsInAPrivateFile() throws IOException {
        CredentialStore store = new CredentialStore(file());
        assertTrue(store.isEmpty());
        String hash = "AB".repeat(32);
        store.put(List.of(
                credential("{'endpoint':'a/\\\"b','tls':{'mode':'x509','certificates':['" + hash + "']}}"),
                credential("{'endpoint':'p','tls':{'mode':'psk','details':{'identity':'i','key':'00ff'}}}"),
                credential("{'endpoint':'n','tls':{'mode':'nosec'}}")));

        assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(file())));
        CredentialStore again = new CredentialStore(file());
        assertEquals(List.of("a/\"b", "n", "p"), again.all().stream().map(Credential::endpoint).toList());
        assertEquals(store.byEndpoint("p"), again.byPskIdentity("i"));
        assertTrue(again.byEndpoint("a/\"b").accepts("ab".repeat(32)));
        assertFalse(again.byEndpoint("a/\"b").accepts("cd".repeat(32)));
        assertEquals(2, again.byEndpoint("p").pskKey().length);
    }

    @Test
    void takesAnEmptyListOfCertificatesForAMistake() {
        IllegalArgumentException refused = assertThrows(IllegalArgumentException.class,
                () -> credential("{'endpoint':'x','tls':{'mode':'x509','certificates':[]}}"));
        assertTrue(refused.getMessage().startsWith("certificates must not be empty"));
    }

    @Test
    void neverShowsAKey() throws IOException {
        Credential psk = credential("{'endpoint':'p','tls':{'mode':'psk','details':{'identity':'i','key':'00ff'}}}");
        assertFalse(psk.toJson(false).toString().contains("00ff"));
        assertFalse(psk.toString().contains("00ff"));
        assertTrue(psk.toJson(true).toString().contains("00ff"));
    }

    @Test
    void changesAllOrNothing() throws IOException {
        CredentialStore store = new CredentialStore(file());
        store.put(List.of(credential("{'endpoint':'p','tls':{'mode':'psk','details':{'identity':'i','key':'00'}}}")));

        IllegalArgumentException taken = assertThrows(IllegalArgumentException.class, () -> store.put(List.of(
                credential("{'endpoint':'x','tls':{'mode':'x509'}}"),
                credential("{'endpoint':'q','tls':{'mode':'psk','details':{'identity':'i','key':'01'}}}"))));

        assertEquals("PSK Identity i is already used by p", taken.getMessage());
        assertNull(store.byEndpoint("x"));
        assertEquals(1, new CredentialStore(file()).all().size());
    }

    @Test
    void tellsOfChangesOnly() throws IOException {
        CredentialStore store = new CredentialStore(file());
        List<String> told = new ArrayList<>();
        store.addListener((before, after) -> told.add((before == null ? "-" : before.mode()) + " "
                + (after == null ? "-" : after.mode())));

        store.put(List.of(credential("{'endpoint':'x','tls':{'mode':'x509'}}")));
        store.put(List.of(credential("{'endpoint':'x','tls':{'mode':'x509'}}")));
        store.put(List.of(credential("{'endpoint':'x','tls':{'mode':'nosec'}}")));
        assertTrue(store.remove("x"));
        assertFalse(store.remove("x"));

        assertEquals(List.of("- X509", "X509 NOSEC", "NOSEC -"), told);
        assertNull(store.byEndpoint("x"));
    }

    @Test
    void refusesAFileThatItCannotUnderstand() throws IOException {
        Files.writeString(file(), "[{\"endpoint\":");
        assertThrows(IOException.class, () -> new CredentialStore(file()));
    }

    @ParameterizedTest
    @ValueSource(strings = {
            "[]", "{}", "{'endpoint':''}", "{'endpoint':1,'tls':{'mode':'x509'}}", "{'endpoint':'a'}",
            "{'endpoint':'a','tls':{}}", "{'endpoint':'a','tls':{'mode':'magic'}}",
            "{'endpoint':'a','tls':{'mode':'rpk','details':{'key':'00'}}}",
            "{'endpoint':'a','tls':{'mode':'psk'}}",
            "{'endpoint':'a','tls':{'mode':'psk','details':{'identity':'i'}}}",
            "{'endpoint':'a','tls':{'mode':'psk','details':{'identity':'i','key':'0g'}}}",
            "{'endpoint':'a','tls':{'mode':'x509','certificates':'00'}}",
            "{'endpoint':'a','tls':{'mode':'x509','certificates':['00']}}" })
    void saysWhatIsWrongWithACredential(String json) {
        IllegalArgumentException wrong = assertThrows(IllegalArgumentException.class, () -> credential(json));
        assertFalse(wrong.getMessage().isBlank());
        assertFalse(wrong.getMessage().contains("\n"));
    }
}
