package flownexus.fleet;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.DatagramChannel;
import java.util.Arrays;

import org.eclipse.californium.elements.Connector;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.EndpointContextMatcher;
import org.eclipse.californium.elements.RawData;
import org.eclipse.californium.elements.RawDataChannel;
import org.eclipse.californium.elements.UdpEndpointContext;
import org.eclipse.californium.elements.exception.EndpointMismatchException;
import org.eclipse.californium.elements.util.ClockUtil;

/** Plain CoAP over a {@link Radio}. */
final class RadioUdpConnector implements Connector {

    private final InetSocketAddress bindAddress;
    private final Radio radio;
    private volatile DatagramChannel channel;
    private volatile InetSocketAddress address;
    private volatile RawDataChannel receiver;
    private volatile EndpointContextMatcher matcher;

    RadioUdpConnector(InetSocketAddress bindAddress, Radio radio) {
        this.bindAddress = bindAddress;
        this.address = bindAddress;
        this.radio = radio;
    }

    @Override
    public synchronized void start() throws IOException {
        if (isRunning()) {
            return;
        }
        DatagramChannel opened = DatagramChannel.open();
        try {
            opened.bind(bindAddress);
            address = (InetSocketAddress) opened.getLocalAddress();
            radio.setReceiver(this::received);
            radio.loop().listen(opened, radio);
        } catch (IOException e) {
            opened.close();
            throw e;
        }
        channel = opened;
    }

    private void received(byte[] datagram, InetSocketAddress peer) {
        RawDataChannel target = receiver;
        if (target != null) {
            target.receiveData(RawData.inbound(datagram, new UdpEndpointContext(peer), false,
                    ClockUtil.nanoRealtime(), address));
        }
    }

    @Override
    public void processDatagram(DatagramPacket datagram) {
        received(Arrays.copyOfRange(datagram.getData(), datagram.getOffset(),
                datagram.getOffset() + datagram.getLength()), (InetSocketAddress) datagram.getSocketAddress());
    }

    @Override
    public void send(RawData message) {
        DatagramChannel current = channel;
        if (current == null) {
            message.onError(new IOException("Socket closed."));
            return;
        }
        EndpointContext context = new UdpEndpointContext(message.getInetSocketAddress());
        EndpointContextMatcher currentMatcher = matcher;
        if (currentMatcher != null && !currentMatcher.isToBeSent(message.getEndpointContext(), context)) {
            message.onError(new EndpointMismatchException("UDP sending"));
            return;
        }
        try {
            message.onContextEstablished(context);
            radio.send(() -> current.send(ByteBuffer.wrap(message.getBytes()), message.getInetSocketAddress()));
            message.onSent();
        } catch (IOException e) {
            message.onError(e);
        }
    }

    @Override
    public synchronized void stop() {
        DatagramChannel current = channel;
        channel = null;
        if (current != null) {
            try {
                current.close();
            } catch (IOException e) {
                throw new IllegalStateException("socket " + address + " cannot be closed", e);
            }
        }
    }

    @Override
    public void destroy() {
        stop();
        receiver = null;
    }

    @Override
    public void setRawDataReceiver(RawDataChannel rawDataReceiver) {
        receiver = rawDataReceiver;
    }

    @Override
    public void setEndpointContextMatcher(EndpointContextMatcher endpointContextMatcher) {
        matcher = endpointContextMatcher;
    }

    @Override
    public InetSocketAddress getAddress() {
        return address;
    }

    @Override
    public boolean isRunning() {
        return channel != null;
    }

    @Override
    public String getProtocol() {
        return "UDP";
    }

    @Override
    public String toString() {
        return "UDP-" + address;
    }
}
