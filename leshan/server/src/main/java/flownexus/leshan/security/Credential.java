package flownexus.leshan.security;

import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;

/**
 * How one endpoint proves who it is.
 *
 * @param endpoint its name
 * @param mode what it uses
 * @param pskIdentity for PSK, else null
 * @param pskKey for PSK, else null
 * @param publicKey for a raw public key, else null
 * @param certificates for X.509: SHA-256 of the certificates (DER) that are accepted, in lower-case hexadecimal; empty for
 *        any with the endpoint as its common name
 */
public record Credential(String endpoint, Mode mode, String pskIdentity, byte[] pskKey, PublicKey publicKey,
        List<String> certificates) {

    /** X.509 certificate, pre-shared key, raw public key, or plain CoAP without any proof. */
    public enum Mode {
        X509, PSK, RPK, NOSEC;

        String text() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /**
     * Reads {@code {"endpoint":…,"tls":{"mode":"x509"|"psk"|"rpk"|"nosec","details":{…},"certificates":[…]}}}, and what the
     * demo server took before M5: {@code "psk":{…}}, {@code "rpk":{…}} or {@code "x509":true} in place of {@code "tls"}.
     *
     * @throws IllegalArgumentException with one line that says what is wrong
     */
    public static Credential parse(JsonNode json) {
        if (!json.isObject()) {
            throw new IllegalArgumentException("a credential must be a JSON object");
        }
        String endpoint = text(json, "endpoint", "Missing endpoint");
        JsonNode tls = json.has("tls") ? json.get("tls") : older(json);
        if (!tls.isObject()) {
            throw new IllegalArgumentException("tls field should be a json object");
        }
        String mode = text(tls, "mode", "Missing mode (x509, psk, rpk or nosec)");
        switch (mode) {
        case "x509":
            return new Credential(endpoint, Mode.X509, null, null, null, certificates(tls.path("certificates")));
        case "nosec":
            return new Credential(endpoint, Mode.NOSEC, null, null, null, List.of());
        case "psk":
            JsonNode details = tls.path("details");
            String identity = text(details, "identity", "Missing PSK identity");
            byte[] key;
            try {
                key = HexFormat.of().parseHex(text(details, "key", "Missing PSK key"));
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("key parameter must be a valid hex string", e);
            }
            if (key.length == 0) {
                throw new IllegalArgumentException("Missing PSK key");
            }
            return new Credential(endpoint, Mode.PSK, identity, key, null, List.of());
        case "rpk":
            return new Credential(endpoint, Mode.RPK, null, null,
                    publicKey(text(tls.path("details"), "key", "Missing public key")), List.of());
        default:
            throw new IllegalArgumentException("unknown mode '" + mode + "': use x509, psk, rpk or nosec");
        }
    }

    private static JsonNode older(JsonNode json) {
        ObjectNode tls = JsonNodeFactory.instance.objectNode();
        for (String mode : List.of("psk", "rpk")) {
            if (json.path(mode).isObject()) {
                return tls.put("mode", mode).set("details", json.get(mode));
            }
        }
        return json.path("x509").asBoolean() ? tls.put("mode", "x509") : json.path("tls");
    }

    private static PublicKey publicKey(String hex) {
        try {
            return KeyFactory.getInstance("EC").generatePublic(new X509EncodedKeySpec(HexFormat.of().parseHex(hex)));
        } catch (IllegalArgumentException | GeneralSecurityException e) {
            throw new IllegalArgumentException(
                    "key parameter must be an elliptic curve public key: SubjectPublicKeyInfo (DER) in hexadecimal", e);
        }
    }

    private static String text(JsonNode json, String field, String missing) {
        JsonNode value = json.path(field);
        if (!value.isTextual() || value.textValue().isEmpty()) {
            throw new IllegalArgumentException(missing);
        }
        return value.textValue();
    }

    private static List<String> certificates(JsonNode json) {
        List<String> certificates = new ArrayList<>();
        if (!json.isMissingNode() && !json.isArray()) {
            throw new IllegalArgumentException("certificates must be an array of SHA-256 hashes");
        }
        for (JsonNode each : json) {
            String hash = each.asText().toLowerCase(Locale.ROOT);
            if (!hash.matches("[0-9a-f]{64}")) {
                throw new IllegalArgumentException("certificates must hold SHA-256 hashes of 64 hexadecimal digits");
            }
            certificates.add(hash);
        }
        if (json.isArray() && certificates.isEmpty()) {
            // read as "any", a list that lost its last certificate would admit all that were revoked
            throw new IllegalArgumentException("certificates must not be empty: leave it out to admit any, or DELETE the"
                    + " credential to admit none");
        }
        return List.copyOf(certificates);
    }

    /** @param secret whether to write a pre-shared key too */
    public ObjectNode toJson(boolean secret) {
        ObjectNode json = JsonNodeFactory.instance.objectNode();
        json.put("endpoint", endpoint);
        ObjectNode tls = json.putObject("tls");
        tls.put("mode", mode.text());
        if (mode == Mode.PSK) {
            ObjectNode details = tls.putObject("details");
            details.put("identity", pskIdentity);
            if (secret) {
                details.put("key", HexFormat.of().formatHex(pskKey));
            }
        }
        if (mode == Mode.RPK) {
            tls.putObject("details").put("key", HexFormat.of().formatHex(publicKey.getEncoded()));
        }
        if (!certificates.isEmpty()) {
            ArrayNode hashes = tls.putArray("certificates");
            certificates.forEach(hashes::add);
        }
        return json;
    }

    /** Whether a client's certificate is one of those that are accepted. */
    public boolean accepts(String certificateSha256) {
        return certificates.isEmpty() || certificates.contains(certificateSha256);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Credential credential && toJson(true).equals(credential.toJson(true));
    }

    @Override
    public int hashCode() {
        return Arrays.hashCode(new Object[] { endpoint, mode });
    }

    /** Without the key: this ends up in logs. */
    @Override
    public String toString() {
        return toJson(false).toString();
    }
}
