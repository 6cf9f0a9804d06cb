package flownexus.fleet;

import java.io.IOException;
import java.net.DatagramPacket;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.DatagramChannel;
import java.util.Arrays;

import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;

/**
 * DTLS over a {@link Radio}. Its configuration must ask for no receiver threads of its own
 * ({@code DTLS_RECEIVER_THREAD_COUNT} 0).
 */
final class RadioDtlsConnector extends DTLSConnector {

    private final Radio radio;
    private volatile DatagramChannel channel;

    RadioDtlsConnector(DtlsConnectorConfig configuration, Radio radio) {
        super(configuration);
        this.radio = radio;
    }

    @Override
    protected void start(InetSocketAddress bindAddress) throws IOException {
        if (isRunning()) {
            return;
        }
        DatagramChannel opened = DatagramChannel.open();
        try {
            init(bindAddress, opened.socket(), null);
        } catch (IOException e) {
            opened.close();
            throw e;
        }
        channel = opened;
        radio.setReceiver((datagram, peer) -> processDatagram(new DatagramPacket(datagram, datagram.length, peer)));
        radio.loop().listen(opened, radio);
    }

    @Override
    protected void sendNextDatagramOverNetwork(DatagramPacket datagram) throws IOException {
        DatagramChannel current = channel;
        if (current == null) {
            throw new IOException("Socket closed.");
        }
        // the connector uses its buffer again at once
        ByteBuffer content = ByteBuffer.wrap(Arrays.copyOfRange(datagram.getData(), datagram.getOffset(),
                datagram.getOffset() + datagram.getLength()));
        SocketAddress peer = datagram.getSocketAddress();
        try {
            // a full send buffer loses the datagram, as any network may
            radio.send(() -> current.send(content, peer));
        } catch (ClosedChannelException e) {
            throw new IOException("Socket closed.", e);
        }
    }
}
