package flownexus.leshan;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.BlockOption;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.config.UdpConfig;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConfig.DtlsRole;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.CertificateType;
import org.eclipse.californium.scandium.dtls.pskstore.SinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticCertificateVerifier;

/**
 * A device with a firmware resource, {@code /5/0/0}, that sees each block of a transfer as it is on the wire, and that fetches
 * block by block in a session of its own.
 */
final class FirmwareDevice implements AutoCloseable {

    /** What it proves itself with. */
    interface Identity {

        /** @param dtls null for plain CoAP */
        void apply(DtlsConnectorConfig.Builder dtls);

        default boolean secure() {
            return true;
        }

        static Identity psk(String identity, byte[] key) {
            return dtls -> dtls.setPskStore(new SinglePskStore(identity, key));
        }

        static Identity x509(TestPki.Issued issued) {
            return dtls -> dtls
                    .setCertificateIdentityProvider(new SingleCertificateProvider(issued.key(),
                            new X509Certificate[] { issued.certificate() }, CertificateType.X_509))
                    .setCertificateVerifier(StaticCertificateVerifier.builder().setTrustAllCertificates().build());
        }

        static Identity plain() {
            return new Identity() {
                @Override
                public void apply(DtlsConnectorConfig.Builder dtls) {
                    // nothing to prove
                }

                @Override
                public boolean secure() {
                    return false;
                }
            };
        }
    }

    /** A block that came. */
    record Block(int number, int size, boolean more, int length, Integer size1, int format) {
    }

    final List<Block> blocks = new CopyOnWriteArrayList<>();
    /** Decides the answer to a block: null leaves it without one, and one of type RST resets. */
    volatile BiFunction<Block, Response, Response> answer = (block, usual) -> usual;
    /** Largest blocks that it takes, as the exponent of RFC 7959. */
    volatile int szx = 6;
    final AtomicInteger deafTo = new AtomicInteger();
    private final ByteArrayOutputStream content = new ByteArrayOutputStream();
    private final TestServer server;
    private final String endpoint;
    private final Identity identity;
    private final CoapServer device;
    private final CoapEndpoint socket;
    private final List<CoapEndpoint> others = new ArrayList<>();

    FirmwareDevice(TestServer server, String endpoint, Identity identity) throws IOException {
        this.server = server;
        this.endpoint = endpoint;
        this.identity = identity;
        socket = open();
        socket.addInterceptor(new MessageInterceptor() {
            @Override
            public void receiveRequest(Request request) {
                if (deafTo.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
                    request.cancel();
                }
            }
        });
        device = new CoapServer(configuration());
        device.addEndpoint(socket);
        device.add(new CoapResource("5").add(new CoapResource("0").add(new Package())));
        device.start();
    }

    private static Configuration configuration() {
        return new Configuration(SystemConfig.DEFINITIONS, CoapConfig.DEFINITIONS, UdpConfig.DEFINITIONS,
                DtlsConfig.DEFINITIONS).set(CoapConfig.ACK_TIMEOUT, 500, TimeUnit.MILLISECONDS)
                        .set(CoapConfig.MAX_RESOURCE_BODY_SIZE, 0).set(DtlsConfig.DTLS_ROLE, DtlsRole.CLIENT_ONLY)
                        .set(DtlsConfig.DTLS_RECEIVER_THREAD_COUNT, 1).set(DtlsConfig.DTLS_CONNECTOR_THREAD_COUNT, 1)
                        .set(DtlsConfig.DTLS_VERIFY_SERVER_CERTIFICATES_SUBJECT, false);
    }

    private CoapEndpoint open() {
        InetSocketAddress address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
        CoapEndpoint.Builder builder = CoapEndpoint.builder().setConfiguration(configuration());
        if (!identity.secure()) {
            return builder.setInetSocketAddress(address).build();
        }
        DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration()).setAddress(address);
        identity.apply(dtls);
        return builder.setConnector(new DTLSConnector(dtls.build())).build();
    }

    private final class Package extends CoapResource {

        Package() {
            super("0");
        }

        @Override
        public void handlePUT(CoapExchange exchange) {
            Request request = exchange.advanced().getRequest();
            BlockOption option = request.getOptions().getBlock1();
            Block block = new Block(option == null ? 0 : option.getNum(), option == null ? 0 : option.getSize(),
                    option != null && option.isM(), request.getPayloadSize(), request.getOptions().getSize1(),
                    request.getOptions().getContentFormat());
            blocks.add(block);
            Response usual = new Response(block.more ? ResponseCode.CONTINUE : ResponseCode.CHANGED);
            if (option != null) {
                usual.getOptions().setBlock1(Math.min(szx, option.getSzx()), block.more, block.number);
            }
            Response response = answer.apply(block, usual);
            if (response == null) {
                exchange.accept();
                return;
            }
            if (response.getType() == Type.RST) {
                exchange.reject();
                return;
            }
            if (response.isSuccess()) {
                int offset = block.number * block.size;
                synchronized (content) {
                    if (offset == 0) {
                        content.reset();
                    }
                    if (content.size() == offset) {
                        content.writeBytes(request.getPayload());
                    }
                }
            }
            exchange.respond(response);
        }
    }

    byte[] content() {
        synchronized (content) {
            return content.toByteArray();
        }
    }

    ResponseCode register(String... queries) throws Exception {
        Request request = Request.newPost();
        request.setURI((identity.secure() ? server.coaps() : server.coap()) + "/rd");
        request.getOptions().addUriQuery("ep=" + endpoint).addUriQuery("lt=300").addUriQuery("lwm2m=1.1")
                .setContentFormat(MediaTypeRegistry.APPLICATION_LINK_FORMAT);
        for (String query : queries) {
            request.getOptions().addUriQuery(query);
        }
        request.setPayload("</3/0>,</5/0>");
        return send(socket, request).getCode();
    }

    /** Another session of the same identity. */
    CoapEndpoint session() throws IOException {
        CoapEndpoint session = open();
        session.start();
        others.add(session);
        return session;
    }

    /** Asks for one block. */
    static Response get(CoapEndpoint session, String uri, Integer number, int szx) throws Exception {
        Request request = Request.newGet();
        request.setURI(uri);
        if (number != null) {
            request.getOptions().setBlock2(szx, false, number);
        }
        return send(session, request);
    }

    /** Fetches all of it. */
    static byte[] fetch(CoapEndpoint session, String uri, int szx) throws Exception {
        ByteArrayOutputStream fetched = new ByteArrayOutputStream();
        for (int number = 0;; number++) {
            Response response = get(session, uri, number, szx);
            if (response.getCode() != ResponseCode.CONTENT) {
                throw new AssertionError("block " + number + ": " + response);
            }
            fetched.writeBytes(response.getPayload());
            if (!response.getOptions().getBlock2().isM()) {
                return fetched.toByteArray();
            }
        }
    }

    private static Response send(CoapEndpoint session, Request request) throws Exception {
        session.sendRequest(request);
        Response response = request.waitForResponse(10_000);
        if (response == null) {
            throw new AssertionError("no answer to " + request);
        }
        return response;
    }

    @Override
    public void close() {
        others.forEach(CoapEndpoint::destroy);
        device.destroy();
    }
}
