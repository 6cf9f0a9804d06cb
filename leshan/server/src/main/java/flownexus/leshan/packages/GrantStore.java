package flownexus.leshan.packages;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.core.type.TypeReference;

import flownexus.leshan.FileStore;
import flownexus.leshan.json.Json;

/** Which device may fetch which package, and by what token; kept in one private file that is replaced as a whole. */
public final class GrantStore {

    private static final TypeReference<TreeMap<String, TreeMap<String, String>>> CONTENT = new TypeReference<>() {
    };
    private static final int TOKEN_BYTES = 16;

    /** @param token the last part of the address that the device fetches from */
    public record Grant(String endpoint, PackageStore.Stored stored, String token) {
    }

    private final Path file;
    private final PackageStore packages;
    private final SecureRandom random = new SecureRandom();
    /** Tokens by endpoint and hash; replaced, never changed. */
    private volatile Map<String, TreeMap<String, String>> tokens;
    private volatile Map<String, Grant> byToken;

    /**
     * Loads the file if there is one; a grant of a package that is no more is forgotten.
     *
     * @throws IOException if it cannot be read or understood
     */
    public GrantStore(Path file, PackageStore packages) throws IOException {
        this.file = file;
        this.packages = packages;
        Map<String, TreeMap<String, String>> loaded = Files.exists(file) ? Json.MAPPER.readValue(file.toFile(), CONTENT)
                : new TreeMap<>();
        loaded.values().forEach(each -> each.keySet().removeIf(sha256 -> packages.find(sha256) == null));
        use(loaded);
    }

    /** The grant with that token, or null. */
    public Grant byToken(String token) {
        return byToken.get(token);
    }

    /** What a device may fetch, by hash. */
    public List<Grant> of(String endpoint) {
        return tokens.getOrDefault(endpoint, new TreeMap<>()).values().stream().map(byToken::get).toList();
    }

    /**
     * Lets a device fetch a package. Granted again, the token stays the same.
     *
     * @return null if there is no such package
     */
    public synchronized Grant grant(String endpoint, String sha256) throws IOException {
        if (packages.find(sha256) == null) {
            return null;
        }
        String token = tokens.getOrDefault(endpoint, new TreeMap<>()).get(sha256);
        if (token == null) {
            byte[] bytes = new byte[TOKEN_BYTES];
            random.nextBytes(bytes);
            token = Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
            Map<String, TreeMap<String, String>> next = copy();
            next.computeIfAbsent(endpoint, each -> new TreeMap<>()).put(sha256, token);
            keep(next);
        }
        return byToken.get(token);
    }

    /**
     * Takes a grant back.
     *
     * @return false if there is none
     */
    public synchronized boolean remove(String endpoint, String sha256) throws IOException {
        if (!tokens.getOrDefault(endpoint, new TreeMap<>()).containsKey(sha256)) {
            return false;
        }
        Map<String, TreeMap<String, String>> next = copy();
        next.get(endpoint).remove(sha256);
        keep(next);
        return true;
    }

    /**
     * Removes a package, and its grants first.
     *
     * @return false if there is none
     */
    public synchronized boolean removePackage(String sha256) throws IOException {
        if (tokens.values().stream().anyMatch(each -> each.containsKey(sha256))) {
            Map<String, TreeMap<String, String>> next = copy();
            next.values().forEach(each -> each.remove(sha256));
            keep(next);
        }
        return packages.delete(sha256);
    }

    private Map<String, TreeMap<String, String>> copy() {
        Map<String, TreeMap<String, String>> copy = new TreeMap<>();
        tokens.forEach((endpoint, each) -> copy.put(endpoint, new TreeMap<>(each)));
        return copy;
    }

    private void keep(Map<String, TreeMap<String, String>> next) throws IOException {
        next.values().removeIf(Map::isEmpty);
        FileStore.replace(file, Json.MAPPER.writeValueAsBytes(next));
        use(next);
    }

    /** Readers see a token only together with its grant. */
    private void use(Map<String, TreeMap<String, String>> next) {
        Map<String, Grant> grants = new HashMap<>();
        next.forEach((endpoint, each) -> each.forEach((sha256, token) -> grants.put(token,
                new Grant(endpoint, packages.find(sha256), token))));
        byToken = grants;
        tokens = next;
    }
}
