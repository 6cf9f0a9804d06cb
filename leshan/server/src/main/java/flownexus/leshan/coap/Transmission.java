package flownexus.leshan.coap;

import org.eclipse.californium.core.coap.MessageObserver;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.network.stack.ReliabilityLayerParameters;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.request.LowerLayerConfig;

/**
 * A request, or the blocks of one, on its way to a device: how often it is repeated, whether any of it left, and how to stop
 * it.
 */
public final class Transmission implements LowerLayerConfig, MessageObserver {

    private static final int REPEAT_MILLIS = 2000;
    /**
     * For so long a device knows a repetition by its message id. RFC 7252, 4.8.2 gives 247 s: repeated later, an execute could
     * be done twice.
     */
    private static final int MAX_REPEAT_MILLIS = 240_000;

    private final boolean queueMode;
    private final long timeoutMillis;
    private final long repeatedMillis;
    private volatile Request request;
    private volatile boolean sent;
    private volatile boolean refused;

    /**
     * Plans a transmission.
     *
     * @param registration of the device; one with queue mode may wake for a moment only, so what it has not acknowledged is
     *        repeated at a constant short interval
     * @param timeoutMillis for the answer, in all
     */
    public Transmission(Registration registration, long timeoutMillis) {
        this(registration, timeoutMillis, Math.min(timeoutMillis, MAX_REPEAT_MILLIS));
    }

    /** @param repeatedMillis for so long each message to a device with queue mode is repeated */
    Transmission(Registration registration, long timeoutMillis, long repeatedMillis) {
        this.queueMode = registration.usesQueueMode();
        this.timeoutMillis = timeoutMillis;
        this.repeatedMillis = repeatedMillis;
    }

    public long timeoutMillis() {
        return timeoutMillis;
    }

    @Override
    public void apply(Object lowerRequest) {
        Request coap = (Request) lowerRequest;
        if (queueMode) {
            coap.setReliabilityLayerParameters(ReliabilityLayerParameters.builder()
                    .ackTimeout(REPEAT_MILLIS).maxAckTimeout(REPEAT_MILLIS).ackRandomFactor(1).ackTimeoutScale(1).nstart(1)
                    .maxRetransmit((int) (repeatedMillis / REPEAT_MILLIS)).build());
        }
        coap.addMessageObserver(this);
        request = coap;
    }

    /** Whether a datagram of it left, or may have. False is certain, unless it is sent later. */
    public boolean left() {
        return sent || request != null && !refused;
    }

    /** Stops it, if it is under way: what is not answered yet ends as cancelled. */
    public void cancel() {
        Request coap = request;
        if (coap != null) {
            coap.cancel();
        }
    }

    @Override
    public void onSent(boolean retransmission) {
        sent = true;
    }

    @Override
    public void onSendError(Throwable error) {
        refused = true;
    }
}
