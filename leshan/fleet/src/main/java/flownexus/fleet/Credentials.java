package flownexus.fleet;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HexFormat;

/** What a device proves its name with, in the forms that the LwM2M Security object (0) holds. */
sealed interface Credentials {

    /** Nothing: plain CoAP. */
    record None() implements Credentials {
    }

    /** @param identity as sent in the handshake; @param key the shared secret's bytes */
    record PreSharedKey(String identity, byte[] key) implements Credentials {
    }

    /** @param certificate the device's, DER; @param key PKCS#8 DER; @param authority the server's trust anchor, DER */
    record Certificate(byte[] certificate, byte[] key, byte[] authority) implements Credentials {
    }

    /**
     * Reads {@code psk.identity} and {@code psk.key} (hex) of a device.
     *
     * @param root the folder with one folder a device
     * @throws IllegalArgumentException with one line for the user
     */
    static PreSharedKey loadPsk(Path root, String endpoint) {
        Path folder = folder(root, endpoint);
        String identity = text(folder.resolve("psk.identity")).strip();
        Path keyFile = folder.resolve("psk.key");
        byte[] key;
        try {
            key = HexFormat.of().parseHex(text(keyFile).strip());
        } catch (IllegalArgumentException e) {
            if (e.getCause() instanceof IOException) {
                throw e;
            }
            throw new IllegalArgumentException(keyFile + " does not hold a key in hex");
        }
        if (identity.isEmpty() || key.length == 0) {
            throw new IllegalArgumentException(folder + " holds an empty PSK identity or key");
        }
        return new PreSharedKey(identity, key);
    }

    /**
     * Reads {@code cert.pem}, {@code key.pem} and {@code ca.pem} of a device. Neither validity nor the name in the
     * certificate is checked: a device that a server should refuse is also worth simulating.
     *
     * @param root the folder with one folder a device
     * @throws IllegalArgumentException with one line for the user
     */
    static Certificate loadCertificate(Path root, String endpoint) {
        Path folder = folder(root, endpoint);
        X509Certificate certificate = certificate(folder.resolve("cert.pem"));
        X509Certificate authority = certificate(folder.resolve("ca.pem"));
        Path keyFile = folder.resolve("key.pem");
        PrivateKey key = privateKey(keyFile, certificate.getPublicKey());
        if (!belongTogether(key, certificate.getPublicKey())) {
            throw new IllegalArgumentException(keyFile + " is not the key of " + folder.resolve("cert.pem"));
        }
        try {
            return new Certificate(certificate.getEncoded(), key.getEncoded(), authority.getEncoded());
        } catch (CertificateException e) {
            throw new IllegalArgumentException(folder + ": " + e.getMessage(), e);
        }
    }

    /** The folder of a device: its name percent-encoded (RFC 3986, only unreserved characters stay). */
    static Path folder(Path root, String endpoint) {
        return root.resolve(percentEncoded(endpoint));
    }

    /** As Python's {@code urllib.parse.quote(name, safe="")}, but {@code .} and {@code ..} are encoded too. */
    static String percentEncoded(String name) {
        boolean relative = ".".equals(name) || "..".equals(name);
        StringBuilder encoded = new StringBuilder();
        for (byte octet : name.getBytes(StandardCharsets.UTF_8)) {
            char c = (char) (octet & 0xff);
            boolean unreserved = c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
                    || "-_~".indexOf(c) >= 0 || c == '.' && !relative;
            encoded.append(unreserved ? String.valueOf(c) : String.format("%%%02X", (int) c));
        }
        return encoded.toString();
    }

    private static X509Certificate certificate(Path file) {
        try {
            return (X509Certificate) CertificateFactory.getInstance("X.509")
                    .generateCertificate(new ByteArrayInputStream(bytes(file)));
        } catch (CertificateException e) {
            throw new IllegalArgumentException(file + " is not a certificate (PEM)");
        }
    }

    private static PrivateKey privateKey(Path file, PublicKey publicKey) {
        String pem = text(file);
        String begin = "-----BEGIN PRIVATE KEY-----";
        int start = pem.indexOf(begin);
        int end = pem.indexOf("-----END PRIVATE KEY-----");
        if (start < 0 || end < start) {
            throw new IllegalArgumentException(
                    file + " is not a PKCS#8 key (PEM): convert it with 'openssl pkcs8 -topk8 -nocrypt'");
        }
        try {
            byte[] der = Base64.getMimeDecoder().decode(pem.substring(start + begin.length(), end));
            return KeyFactory.getInstance(publicKey.getAlgorithm()).generatePrivate(new PKCS8EncodedKeySpec(der));
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            throw new IllegalArgumentException(file + " does not hold a usable private key");
        }
    }

    private static boolean belongTogether(PrivateKey privateKey, PublicKey publicKey) {
        try {
            Signature signature = Signature
                    .getInstance("EC".equals(publicKey.getAlgorithm()) ? "SHA256withECDSA" : "SHA256withRSA");
            byte[] sample = "one pair".getBytes(StandardCharsets.US_ASCII);
            signature.initSign(privateKey);
            signature.update(sample);
            byte[] signed = signature.sign();
            signature.initVerify(publicKey);
            signature.update(sample);
            return signature.verify(signed);
        } catch (GeneralSecurityException e) {
            return false;
        }
    }

    private static String text(Path file) {
        return new String(bytes(file), StandardCharsets.UTF_8);
    }

    private static byte[] bytes(Path file) {
        try {
            return Files.readAllBytes(file);
        } catch (NoSuchFileException e) {
            throw new IllegalArgumentException(file + " is missing: make the device's credentials first", e);
        } catch (IOException e) {
            throw new IllegalArgumentException(file + " cannot be read: " + e.getMessage(), e);
        }
    }
}
