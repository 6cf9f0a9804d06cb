package flownexus.leshan;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.util.Arrays;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.Message;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.Token;
import org.eclipse.californium.core.network.serialization.UdpDataParser;
import org.eclipse.californium.core.network.serialization.UdpDataSerializer;
import org.eclipse.californium.elements.AddressEndpointContext;
import org.eclipse.californium.elements.RawData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A device, one datagram at a time, that says much before it repeats what was not acknowledged. */
class RepetitionsTest {

    private static final int BETWEEN = 100;
    private static final int LAST = 9000;

    @TempDir
    Path folder;

    /** One socket of a device; it numbers its messages itself. */
    private static final class Wire implements AutoCloseable {

        private final DatagramSocket socket = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        private final int port;

        Wire(TestServer server) throws Exception {
            port = server.application().coapPort();
            socket.setSoTimeout(10_000);
        }

        void put(Message message) throws Exception {
            message.setDestinationContext(new AddressEndpointContext(InetAddress.getLoopbackAddress(), port));
            byte[] octets = message instanceof Request request ? new UdpDataSerializer().getByteArray(request)
                    : new UdpDataSerializer().getByteArray((Response) message);
            socket.send(new DatagramPacket(octets, octets.length, InetAddress.getLoopbackAddress(), port));
        }

        /** The answer's code. */
        int ask(Request request, int messageId) throws Exception {
            request.setType(Type.CON).setMID(messageId)
                    .setToken(new Token(new byte[] { (byte) (messageId >> 8), (byte) messageId }));
            put(request);
            return hear().getRawCode();
        }

        /** Says a value, and hears that it was acknowledged. */
        void notify(Token token, int value, int messageId) throws Exception {
            put(notification(token, value).setType(Type.CON).setMID(messageId));
            assertEquals(messageId, hear().getMID());
        }

        Message hear() throws Exception {
            DatagramPacket packet = new DatagramPacket(new byte[2048], 2048);
            socket.receive(packet);
            return new UdpDataParser().parseMessage(RawData.inbound(Arrays.copyOf(packet.getData(), packet.getLength()),
                    new AddressEndpointContext(InetAddress.getLoopbackAddress(), port), false, System.nanoTime(),
                    (InetSocketAddress) socket.getLocalSocketAddress()));
        }

        @Override
        public void close() {
            socket.close();
        }
    }

    private static Request send(int value) {
        Request request = Request.newPost();
        request.getOptions().setUriPath("/dp").setContentFormat(MediaTypeRegistry.APPLICATION_SENML_JSON);
        return request.setPayload("[{\"n\":\"/3303/0/5700\",\"v\":" + value + "}]");
    }

    private static Request register(String endpoint) {
        Request request = Request.newPost();
        request.getOptions().setUriPath("/rd").addUriQuery("ep=" + endpoint).addUriQuery("lt=300")
                .addUriQuery("lwm2m=1.1").addUriQuery("b=U").setContentFormat(MediaTypeRegistry.APPLICATION_LINK_FORMAT);
        return request.setPayload("</3/0>,</3303/0>");
    }

    /** How often a value was told. */
    private static long told(EventTail tail, String type, int value) {
        return tail.events.stream().filter(each -> each.type().equals(type)
                && each.data().get("val").toString().contains("\"value\":\"" + value + ".0\"")).count();
    }

    private static Response notification(Token token, int value) {
        Response response = new Response(ResponseCode.CONTENT);
        response.getOptions().setObserve(value).setContentFormat(MediaTypeRegistry.TEXT_PLAIN);
        response.setToken(token);
        response.setPayload(String.valueOf(value));
        return response;
    }

    @Test
    void aRepeatedSendIsStoredOnceHoweverMuchCameBetween() throws Exception {
        try (TestServer server = new TestServer(folder, true); EventTail tail = new EventTail(server, "", null);
                Wire wire = new Wire(server)) {
            assertEquals(ResponseCode.CREATED.value, wire.ask(register("talker"), 1));
            assertEquals(ResponseCode.CHANGED.value, wire.ask(send(7000), 2));
            for (int index = 1; index <= BETWEEN; index++) {
                assertEquals(ResponseCode.CHANGED.value, wire.ask(send(index), 2 + index));
            }
            // its acknowledgement was lost
            assertEquals(ResponseCode.CHANGED.value, wire.ask(send(7000), 2));
            wire.ask(send(LAST), 3 + BETWEEN);
            tail.await("the last", each -> told(tail, "SEND", LAST) == 1);
            assertEquals(1, told(tail, "SEND", 7000));
        }
    }

    @Test
    void aRepeatedNotificationIsStoredOnceHoweverMuchCameBetween() throws Exception {
        try (TestServer server = new TestServer(folder, true); EventTail tail = new EventTail(server, "", null);
                Wire wire = new Wire(server)) {
            wire.ask(register("notifier"), 1);
            server.later("observing", "POST", "/api/clients/notifier/3303/0/5700/observe", null);
            Message observe = wire.hear();
            Token token = observe.getToken();
            wire.put(notification(token, 0).setType(Type.ACK).setMID(observe.getMID()));
            tail.await("the observation", each -> each.type().equals("REQUEST_RESPONSE"));
            wire.notify(token, 7000, 2);
            for (int index = 1; index <= BETWEEN; index++) {
                wire.notify(token, 7000 + index, 2 + index);
            }
            wire.notify(token, 7000, 2);
            wire.notify(token, LAST, 3 + BETWEEN);
            tail.await("the last", each -> told(tail, "NOTIFICATION", LAST) == 1);
            assertEquals(1, told(tail, "NOTIFICATION", 7000));
        }
    }
}
