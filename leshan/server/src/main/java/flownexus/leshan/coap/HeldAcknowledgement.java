package flownexus.leshan.coap;

/**
 * The acknowledgement of the confirmable notification that the current thread is delivering. Whoever stores the
 * notification takes it and sends it when that is done; if nobody takes it, it is sent when the delivery is over.
 */
final class HeldAcknowledgement {

    private static final ThreadLocal<HeldAcknowledgement> CURRENT = new ThreadLocal<>();

    private Runnable acknowledgement = () -> {
    };
    private boolean taken;

    private HeldAcknowledgement() {
    }

    /** Runs a delivery, holding back what it {@link #hold}s. */
    static void around(Runnable deliver) {
        HeldAcknowledgement held = new HeldAcknowledgement();
        CURRENT.set(held);
        try {
            deliver.run();
        } finally {
            CURRENT.remove();
            if (!held.taken) {
                held.acknowledgement.run();
            }
        }
    }

    /**
     * Holds an acknowledgement back if a delivery is under way.
     *
     * @param acknowledgement sends it; from any thread
     * @return false if none is, so that it is to be sent now
     */
    static boolean hold(Runnable acknowledgement) {
        HeldAcknowledgement held = CURRENT.get();
        if (held == null) {
            return false;
        }
        held.acknowledgement = acknowledgement;
        return true;
    }

    /** What sends the acknowledgement that is held back, from any thread; does nothing if none is. */
    static Runnable take() {
        HeldAcknowledgement held = CURRENT.get();
        if (held == null) {
            return () -> {
            };
        }
        held.taken = true;
        return held.acknowledgement;
    }
}
