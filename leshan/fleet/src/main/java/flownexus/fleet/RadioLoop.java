package flownexus.fleet;

import java.io.Closeable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.DatagramChannel;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Receives for all radios of the fleet with one thread; Californium would take one thread or two for every device.
 */
final class RadioLoop implements Closeable {

    private static final Logger LOG = LoggerFactory.getLogger(RadioLoop.class);

    /** Largest UDP payload. */
    private static final int DATAGRAM_SIZE = 65_535;
    /** Datagrams taken from one socket before the next one has its turn. */
    private static final int BURST = 16;

    private final Selector selector;
    private final Thread thread;
    private final Queue<Runnable> registrations = new ConcurrentLinkedQueue<>();

    RadioLoop() throws IOException {
        selector = Selector.open();
        thread = new Thread(this::run, "fleet-radio");
        thread.setDaemon(true);
        thread.start();
    }

    /** Hands every datagram that the channel receives to the radio; ends when the channel is closed. */
    void listen(DatagramChannel channel, Radio radio) throws IOException {
        channel.configureBlocking(false);
        registrations.add(() -> {
            try {
                channel.register(selector, SelectionKey.OP_READ, radio);
            } catch (ClosedChannelException e) {
                LOG.debug("closed before it was listened to");
            }
        });
        selector.wakeup();
    }

    private void run() {
        ByteBuffer buffer = ByteBuffer.allocateDirect(DATAGRAM_SIZE);
        while (selector.isOpen()) {
            try {
                selector.select(key -> receive(key, buffer));
            } catch (IOException e) {
                LOG.error("receiving failed: {}", e.getMessage());
            }
            for (Runnable registration = registrations.poll(); registration != null; registration = registrations
                    .poll()) {
                registration.run();
            }
        }
    }

    private static void receive(SelectionKey key, ByteBuffer buffer) {
        Radio radio = (Radio) key.attachment();
        DatagramChannel channel = (DatagramChannel) key.channel();
        try {
            for (int i = 0; i < BURST; i++) {
                buffer.clear();
                InetSocketAddress peer = (InetSocketAddress) channel.receive(buffer);
                if (peer == null) {
                    return;
                }
                buffer.flip();
                byte[] datagram = new byte[buffer.remaining()];
                buffer.get(datagram);
                radio.received(datagram, peer);
            }
        } catch (ClosedChannelException e) {
            key.cancel();
        } catch (IOException | RuntimeException e) {
            // one device's trouble must not stop the others' reception
            LOG.debug("a datagram was not processed", e);
        }
    }

    @Override
    public void close() throws IOException {
        selector.close();
        try {
            thread.join(1000);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
