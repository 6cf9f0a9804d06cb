import java.net.InetSocketAddress;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.elements.AddressEndpointContext;
import org.eclipse.californium.elements.RawData;
import org.eclipse.californium.elements.MessageCallback;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.UdpConfig;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticCertificateVerifier;

/** Offers a raw public key (RFC 7250) to host ARGS[0], port ARGS[1]; prints a line "outcome PORT connected" or "outcome PORT refused: why". */
public class RawPublicKeyClient {

    public static void main(String[] arguments) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        KeyPair keys = generator.generateKeyPair();
        DtlsConfig.register();
        UdpConfig.register();
        Configuration configuration = new Configuration();
        configuration.set(DtlsConfig.DTLS_ROLE, DtlsConfig.DtlsRole.CLIENT_ONLY);
        DtlsConnectorConfig.Builder builder = DtlsConnectorConfig.builder(configuration);
        builder.setCertificateIdentityProvider(new SingleCertificateProvider(keys.getPrivate(), keys.getPublic()));
        // whom it talks to is not the question here
        builder.setCertificateVerifier(
                StaticCertificateVerifier.builder().setTrustAllCertificates().setTrustAllRPKs().build());
        builder.setAddress(new InetSocketAddress(0));
        DTLSConnector connector = new DTLSConnector(builder.build());
        connector.setRawDataReceiver(data -> {});
        connector.start();
        CompletableFuture<String> outcome = new CompletableFuture<>();
        InetSocketAddress server = new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1]));
        connector.send(RawData.outbound(new byte[] { 0x40, 0, 0, 1 }, new AddressEndpointContext(server),
                new MessageCallback() {
                    @Override
                    public void onConnecting() {
                    }

                    @Override
                    public void onDtlsRetransmission(int flight) {
                    }

                    @Override
                    public void onContextEstablished(EndpointContext context) {
                    }

                    @Override
                    public void onSent() {
                        outcome.complete("connected");
                    }

                    @Override
                    public void onError(Throwable error) {
                        outcome.complete("refused: " + error.getMessage());
                    }
                }, false));
        String said = outcome.get(20, TimeUnit.SECONDS);
        System.out.println("outcome " + connector.getAddress().getPort() + " " + said);
        connector.destroy();
        System.exit(0);
    }
}
