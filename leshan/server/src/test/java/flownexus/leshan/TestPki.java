package flownexus.leshan;

import java.io.IOException;
import java.io.StringWriter;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.time.Duration;
import java.time.Instant;
import java.util.Base64;
import java.util.Date;
import java.util.concurrent.ThreadLocalRandom;

import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x500.X500NameBuilder;
import org.bouncycastle.asn1.x500.style.BCStyle;
import org.bouncycastle.asn1.x509.BasicConstraints;
import org.bouncycastle.asn1.x509.ExtendedKeyUsage;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.KeyPurposeId;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cert.jcajce.JcaX509v3CertificateBuilder;
import org.bouncycastle.operator.OperatorCreationException;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;

/** A certificate authority that lives as long as a test. */
public final class TestPki {

    /** A certificate and its key. */
    public record Issued(X509Certificate certificate, PrivateKey key) {
    }

    private final KeyPair caKeys = keys();
    private final X500Name caName;
    public final X509Certificate ca;

    public TestPki(String name) {
        caName = name(name);
        try {
            JcaX509v3CertificateBuilder builder = builder(caName, caName, caKeys, Instant.now().minus(Duration.ofDays(1)),
                    Instant.now().plus(Duration.ofDays(10)));
            builder.addExtension(Extension.basicConstraints, true, new BasicConstraints(true));
            builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.keyCertSign | KeyUsage.cRLSign));
            ca = sign(builder);
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    public Issued device(String endpoint) {
        return issue(endpoint, KeyPurposeId.id_kp_clientAuth, -60, 86400);
    }

    public Issued server() {
        return issue("localhost", KeyPurposeId.id_kp_serverAuth, -60, 86400);
    }

    /** @param from and to: validity in seconds from now */
    public Issued issue(String commonName, KeyPurposeId purpose, long from, long to) {
        KeyPair keys = keys();
        try {
            JcaX509v3CertificateBuilder builder = builder(caName, name(commonName), keys, Instant.now().plusSeconds(from),
                    Instant.now().plusSeconds(to));
            builder.addExtension(Extension.keyUsage, true, new KeyUsage(KeyUsage.digitalSignature));
            builder.addExtension(Extension.extendedKeyUsage, false, new ExtendedKeyUsage(purpose));
            return new Issued(sign(builder), keys.getPrivate());
        } catch (IOException e) {
            throw new IllegalStateException(e);
        }
    }

    /** Writes NAME.pem and NAME.key.pem. */
    static void write(Issued issued, Path folder, String name) throws IOException {
        Files.writeString(folder.resolve(name + ".pem"), pem("CERTIFICATE", encoded(issued.certificate)));
        Files.writeString(folder.resolve(name + ".key.pem"), pem("PRIVATE KEY", issued.key.getEncoded()));
    }

    void writeCa(Path folder) throws IOException {
        Files.writeString(folder.resolve("ca.pem"), pem("CERTIFICATE", encoded(ca)));
    }

    static byte[] encoded(X509Certificate certificate) {
        try {
            return certificate.getEncoded();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static String pem(String type, byte[] der) {
        StringWriter text = new StringWriter();
        text.append("-----BEGIN ").append(type).append("-----\n");
        text.append(Base64.getMimeEncoder(64, "\n".getBytes(StandardCharsets.US_ASCII)).encodeToString(der));
        text.append("\n-----END ").append(type).append("-----\n");
        return text.toString();
    }

    private static X500Name name(String commonName) {
        return new X500NameBuilder(BCStyle.INSTANCE).addRDN(BCStyle.CN, commonName).build();
    }

    static KeyPair keys() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
            generator.initialize(new ECGenParameterSpec("secp256r1"));
            return generator.generateKeyPair();
        } catch (GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }

    private static JcaX509v3CertificateBuilder builder(X500Name issuer, X500Name subject, KeyPair keys, Instant from,
            Instant to) {
        return new JcaX509v3CertificateBuilder(issuer, new BigInteger(64, ThreadLocalRandom.current()), Date.from(from),
                Date.from(to), subject, keys.getPublic());
    }

    private X509Certificate sign(JcaX509v3CertificateBuilder builder) {
        try {
            return new JcaX509CertificateConverter().getCertificate(
                    builder.build(new JcaContentSignerBuilder("SHA256withECDSA").build(caKeys.getPrivate())));
        } catch (OperatorCreationException | GeneralSecurityException e) {
            throw new IllegalStateException(e);
        }
    }
}
