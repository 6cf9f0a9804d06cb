package flownexus.leshan;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.californium.core.server.MessageDeliverer;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.config.SystemConfig;
import org.eclipse.californium.elements.config.UdpConfig;

/** A device over plain CoAP that can do what Leshan's client would not: bad payloads, silence, sudden ends. */
final class RawDevice implements AutoCloseable {

    /** A resource with a payload of any kind. */
    static final class Value extends CoapResource {

        volatile byte[] payload = "21.5".getBytes(StandardCharsets.UTF_8);
        volatile int format = MediaTypeRegistry.TEXT_PLAIN;

        Value(String id) {
            super(id);
            setObservable(true);
            setObserveType(Type.CON);
        }

        @Override
        public void handleGET(CoapExchange exchange) {
            exchange.respond(ResponseCode.CONTENT, payload, format);
        }

        void set(int changedFormat, byte[] changed) {
            payload = changed;
            format = changedFormat;
            changed();
        }

        void end() {
            clearAndNotifyObserveRelations(null, ResponseCode.NOT_FOUND);
        }
    }

    /** {@code /3303/0/5700}. */
    final Value value = new Value("5700");
    /** {@code /33999/0/1}, of an object that no model knows. */
    final Value unknown = new Value("1");
    /** The message ids of all requests that came, also of those it was deaf to. */
    final List<Integer> messageIds = new CopyOnWriteArrayList<>();
    private final AtomicInteger deafTo = new AtomicInteger();
    private final TestServer server;
    private final String endpoint;
    private final CoapServer device;
    private final CoapEndpoint socket;
    private String location;

    RawDevice(TestServer server, String endpoint) throws Exception {
        this.server = server;
        this.endpoint = endpoint;
        Configuration configuration = new Configuration(SystemConfig.DEFINITIONS, CoapConfig.DEFINITIONS,
                UdpConfig.DEFINITIONS).set(CoapConfig.ACK_TIMEOUT, 500, TimeUnit.MILLISECONDS);
        device = new CoapServer(configuration);
        socket = CoapEndpoint.builder().setConfiguration(configuration)
                .setInetSocketAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0)).build();
        socket.addInterceptor(new MessageInterceptor() {
            @Override
            public void receiveRequest(Request request) {
                messageIds.add(request.getMID());
                if (deafTo.getAndDecrement() > 0) {
                    request.cancel();
                }
            }
        });
        device.addEndpoint(socket);
        device.add(new CoapResource("3303").add(new CoapResource("0").add(value)),
                new CoapResource("33999").add(new CoapResource("0").add(unknown)));
        device.start();
    }

    /** Loses so many of the next requests, as a device does that is not listening. */
    void beDeafTo(int requests) {
        deafTo.set(requests);
    }

    /** Takes requests and never answers them. */
    void fallSilent() {
        socket.setMessageDeliverer(new MessageDeliverer() {
            @Override
            public void deliverRequest(Exchange exchange) {
                // swallowed
            }

            @Override
            public void deliverResponse(Exchange exchange, Response response) {
                exchange.getRequest().setResponse(response);
            }
        });
    }

    ResponseCode register(String... queries) throws Exception {
        Request request = Request.newPost();
        request.setURI(server.coap() + "/rd");
        request.getOptions().addUriQuery("ep=" + endpoint).addUriQuery("lt=300").addUriQuery("lwm2m=1.1")
                .addUriQuery("b=U").setContentFormat(MediaTypeRegistry.APPLICATION_LINK_FORMAT);
        for (String query : queries) {
            request.getOptions().addUriQuery(query);
        }
        request.setPayload("</3/0>,</3303/0>");
        Response response = send(request);
        location = "/" + response.getOptions().getLocationPathString();
        return response.getCode();
    }

    ResponseCode update() throws Exception {
        return update(this);
    }

    /** Updates a registration that may be another device's. */
    ResponseCode update(RawDevice owner) throws Exception {
        Request request = Request.newPost();
        request.setURI(server.coap() + owner.location);
        return send(request).getCode();
    }

    ResponseCode deregister(RawDevice owner) throws Exception {
        Request request = Request.newDelete();
        request.setURI(server.coap() + owner.location);
        return send(request).getCode();
    }

    ResponseCode post(int format, byte[] payload) throws Exception {
        Request request = Request.newPost();
        request.setURI(server.coap() + "/dp");
        request.getOptions().setContentFormat(format);
        request.setPayload(payload);
        return send(request).getCode();
    }

    private Response send(Request request) throws Exception {
        socket.sendRequest(request);
        Response response = request.waitForResponse(10_000);
        if (response == null) {
            throw new AssertionError("no answer to " + request);
        }
        return response;
    }


    @Override
    public void close() {
        device.destroy();
    }
}
