package flownexus.leshan.security;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PublicKey;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;

import flownexus.leshan.FileStore;
import flownexus.leshan.json.Json;

/** The credentials of all endpoints that may connect, kept in one private file that is replaced as a whole. */
public final class CredentialStore {

    /** Told of every change, after it is on disk. */
    @FunctionalInterface
    public interface Listener {

        /**
         * @param before null if the endpoint had none
         * @param after null if it has none any more
         */
        void changed(Credential before, Credential after);
    }

    private final Path file;
    private final List<Listener> listeners = new ArrayList<>();
    private volatile Map<String, Credential> byEndpoint = Map.of();
    private volatile Map<String, Credential> byPskIdentity = Map.of();
    private volatile Map<PublicKey, Credential> byPublicKey = Map.of();

    /**
     * Loads the file if there is one.
     *
     * @throws IOException if it cannot be read or understood
     */
    public CredentialStore(Path file) throws IOException {
        this.file = file;
        if (Files.exists(file)) {
            Map<String, Credential> loaded = new TreeMap<>();
            try {
                for (JsonNode each : Json.MAPPER.readTree(file.toFile())) {
                    Credential credential = Credential.parse(each);
                    loaded.put(credential.endpoint(), credential);
                }
            } catch (IllegalArgumentException e) {
                throw new IOException(e.getMessage(), e);
            }
            use(loaded);
        }
    }

    /** Adds a listener; before the store is shared with other threads. */
    public void addListener(Listener listener) {
        listeners.add(listener);
    }

    public Credential byEndpoint(String endpoint) {
        return byEndpoint.get(endpoint);
    }

    public Credential byPskIdentity(String identity) {
        return byPskIdentity.get(identity);
    }

    public Credential byPublicKey(PublicKey key) {
        return byPublicKey.get(key);
    }

    public boolean isEmpty() {
        return byEndpoint.isEmpty();
    }

    /** All of them, by endpoint. */
    public Collection<Credential> all() {
        return byEndpoint.values();
    }

    /**
     * Adds or replaces credentials, all or none of them.
     *
     * @throws IllegalArgumentException if a PSK identity or a public key belongs to another endpoint
     * @throws IOException if they cannot be written; then nothing has changed
     */
    public synchronized void put(List<Credential> credentials) throws IOException {
        Map<String, Credential> next = new TreeMap<>(byEndpoint);
        credentials.forEach(credential -> next.put(credential.endpoint(), credential));
        change(next);
    }

    /**
     * Removes an endpoint's credential.
     *
     * @return false if it had none
     */
    public synchronized boolean remove(String endpoint) throws IOException {
        if (!byEndpoint.containsKey(endpoint)) {
            return false;
        }
        Map<String, Credential> next = new TreeMap<>(byEndpoint);
        next.remove(endpoint);
        change(next);
        return true;
    }

    private void change(Map<String, Credential> next) throws IOException {
        Map<String, Credential> before = byEndpoint;
        if (next.equals(before)) {
            return;
        }
        pskIdentities(next);
        publicKeys(next);
        ArrayNode json = Json.MAPPER.createArrayNode();
        next.values().forEach(credential -> json.add(credential.toJson(true)));
        FileStore.replace(file, Json.MAPPER.writeValueAsBytes(json));
        use(next);
        next.values().stream().filter(credential -> !credential.equals(before.get(credential.endpoint()))).forEach(
                credential -> tell(before.get(credential.endpoint()), credential));
        before.values().stream().filter(credential -> !next.containsKey(credential.endpoint())).forEach(
                credential -> tell(credential, null));
    }

    private void tell(Credential before, Credential after) {
        listeners.forEach(listener -> listener.changed(before, after));
    }

    private void use(Map<String, Credential> credentials) {
        byPskIdentity = pskIdentities(credentials);
        byPublicKey = publicKeys(credentials);
        byEndpoint = credentials;
    }

    private static Map<PublicKey, Credential> publicKeys(Map<String, Credential> credentials) {
        Map<PublicKey, Credential> byKey = new HashMap<>();
        for (Credential credential : credentials.values()) {
            if (credential.mode() == Credential.Mode.RPK) {
                Credential other = byKey.put(credential.publicKey(), credential);
                if (other != null) {
                    throw new IllegalArgumentException("the public key of " + credential.endpoint()
                            + " is already used by " + other.endpoint());
                }
            }
        }
        return byKey;
    }

    private static Map<String, Credential> pskIdentities(Map<String, Credential> credentials) {
        Map<String, Credential> byIdentity = new HashMap<>();
        for (Credential credential : credentials.values()) {
            if (credential.mode() == Credential.Mode.PSK) {
                Credential other = byIdentity.put(credential.pskIdentity(), credential);
                if (other != null) {
                    throw new IllegalArgumentException("PSK Identity " + credential.pskIdentity()
                            + " is already used by " + other.endpoint());
                }
            }
        }
        return byIdentity;
    }
}
