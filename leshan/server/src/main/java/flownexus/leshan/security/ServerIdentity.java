package flownexus.leshan.security;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CertificateException;
import java.security.cert.CertificateExpiredException;
import java.security.cert.CertificateFactory;
import java.security.cert.CertificateNotYetValidException;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import flownexus.leshan.StartException;

/**
 * What the server proves itself with, and whom it trusts.
 *
 * @param chain the server's certificate first, then its issuers
 * @param key of the first certificate
 * @param anchors the only certificates that clients' chains may end in
 */
public record ServerIdentity(List<X509Certificate> chain, PrivateKey key, List<X509Certificate> anchors) {

    private static final String SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
    private static final String ANY_USAGE = "2.5.29.37.0";
    private static final Pattern PKCS8 = Pattern
            .compile("-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\\s]+)-----END PRIVATE KEY-----");

    /**
     * Reads and checks the files.
     *
     * @throws StartException with one line if they cannot be used
     */
    public static ServerIdentity load(Path certificateFile, Path keyFile, Path anchorFile) {
        List<X509Certificate> chain = certificates(certificateFile, "--cert");
        List<X509Certificate> anchors = certificates(anchorFile, "--ca");
        PrivateKey key = privateKey(keyFile);
        X509Certificate own = chain.get(0);
        try {
            own.checkValidity();
        } catch (CertificateExpiredException e) {
            throw new StartException("--cert " + certificateFile + ": the certificate expired on "
                    + own.getNotAfter().toInstant() + "; issue a new one");
        } catch (CertificateNotYetValidException e) {
            throw new StartException("--cert " + certificateFile + ": the certificate is not valid before "
                    + own.getNotBefore().toInstant() + "; check the clock");
        }
        try {
            List<String> usages = own.getExtendedKeyUsage();
            if (usages != null && !usages.contains(SERVER_AUTH) && !usages.contains(ANY_USAGE)) {
                throw new StartException("--cert " + certificateFile
                        + ": the certificate is not for a server (its extended key usage lacks serverAuth)");
            }
        } catch (CertificateException e) {
            throw new StartException("--cert " + certificateFile + ": " + e.getMessage(), e);
        }
        if (!matches(key, own.getPublicKey())) {
            throw new StartException("--key " + keyFile + " is not the key of the certificate in " + certificateFile);
        }
        return new ServerIdentity(chain, key, anchors);
    }

    private static List<X509Certificate> certificates(Path file, String flag) {
        byte[] content = read(file, flag);
        try {
            CertificateFactory factory = CertificateFactory.getInstance("X.509");
            List<X509Certificate> certificates = factory.generateCertificates(new ByteArrayInputStream(content))
                    .stream().map(X509Certificate.class::cast).toList();
            if (!certificates.isEmpty()) {
                return certificates;
            }
        } catch (CertificateException e) {
            throw new StartException(flag + " " + file + " does not hold certificates in PEM: " + line(e), e);
        }
        throw new StartException(flag + " " + file + " does not hold a certificate");
    }

    private static PrivateKey privateKey(Path file) {
        Matcher pem = PKCS8.matcher(new String(read(file, "--key"), StandardCharsets.ISO_8859_1));
        if (!pem.find()) {
            throw new StartException("--key " + file + " does not hold a private key in PEM (PKCS#8, unencrypted)");
        }
        try {
            PKCS8EncodedKeySpec spec = new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(pem.group(1)));
            return KeyFactory.getInstance("EC").generatePrivate(spec);
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            throw new StartException("--key " + file + " does not hold an elliptic-curve key: " + line(e), e);
        }
    }

    private static boolean matches(PrivateKey privateKey, PublicKey publicKey) {
        try {
            byte[] challenge = new byte[32];
            new SecureRandom().nextBytes(challenge);
            Signature signature = Signature.getInstance("SHA256withECDSA");
            signature.initSign(privateKey);
            signature.update(challenge);
            byte[] signed = signature.sign();
            signature.initVerify(publicKey);
            signature.update(challenge);
            return signature.verify(signed);
        } catch (GeneralSecurityException e) {
            return false;
        }
    }

    private static byte[] read(Path file, String flag) {
        try {
            return Files.readAllBytes(file);
        } catch (IOException e) {
            throw new StartException(flag + " " + file + " cannot be read: " + e.getClass().getSimpleName(), e);
        }
    }

    private static String line(Exception e) {
        return String.valueOf(e.getMessage()).lines().findFirst().orElse("");
    }
}
