package flownexus.fleet;

import java.net.InetSocketAddress;

/**
 * The switch between a device and the network. While it is off nothing goes out and what arrives is lost, as with a
 * sleeping device's receiver; the socket stays bound, so that no ICMP message gives the sleeper away.
 */
final class Radio {

    /** Takes what arrives while the radio is on. Called on the one receiving thread: must not block. */
    interface Receiver {
        void receive(byte[] datagram, InetSocketAddress peer);
    }

    private final RadioLoop loop;
    private volatile boolean on = true;
    private volatile Receiver receiver;

    Radio(RadioLoop loop) {
        this.loop = loop;
    }

    RadioLoop loop() {
        return loop;
    }

    boolean isOn() {
        return on;
    }

    void set(boolean switchedOn) {
        on = switchedOn;
    }

    void setReceiver(Receiver newReceiver) {
        receiver = newReceiver;
    }

    void received(byte[] datagram, InetSocketAddress peer) {
        Receiver target = receiver;
        if (on && target != null) {
            target.receive(datagram, peer);
        }
    }
}
