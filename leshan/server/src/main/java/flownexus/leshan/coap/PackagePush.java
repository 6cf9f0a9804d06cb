package flownexus.leshan.coap;

import java.io.IOException;
import java.nio.file.NoSuchFileException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.MessageObserverAdapter;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.BlockOption;
import org.eclipse.californium.core.network.Endpoint;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.exception.InvalidResponseException;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.eclipse.leshan.core.request.exception.RequestRejectedException;
import org.eclipse.leshan.core.request.exception.SendFailedException;
import org.eclipse.leshan.core.request.exception.TimeoutException;
import org.eclipse.leshan.core.response.ErrorCallback;
import org.eclipse.leshan.core.response.ResponseCallback;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.transport.californium.DefaultCoapsExceptionTranslator;
import org.eclipse.leshan.transport.californium.ExceptionTranslator;
import org.eclipse.leshan.transport.californium.ResponseCodeUtil;

import flownexus.leshan.events.TransferProgress.Progress;
import flownexus.leshan.packages.PackageStore;

/**
 * Writes a package to a device, block after block (RFC 7959, 2.5), each read from the file when its turn comes. Ends with the
 * device's answer or an error, once.
 */
public final class PackagePush {

    private static final int LARGEST_SZX = 6;
    /** To a device with queue mode: as long as it may be asleep between two blocks, as CoAP gives up on others. */
    private static final long REPEATED_MILLIS = 93_000;
    /** For what a device has acknowledged but not answered, e.g. because it erases its flash: EXCHANGE_LIFETIME. */
    private static final long BLOCK_MILLIS = 247_000;

    /**
     * What is written where.
     *
     * @param path of a resource
     * @param replace whether by PUT, as firmware is, or POST
     * @param requestId for the events that tell how far it is; may be null
     */
    public record Plan(LwM2mPath path, boolean replace, PackageStore.Stored stored, String requestId) {
    }

    private final PackagePushes pushes;
    private final Registration registration;
    private final Plan plan;
    private final Transmission transmission;
    private final ScheduledExecutorService timer;
    private final ExceptionTranslator errors = new DefaultCoapsExceptionTranslator();
    private ResponseCallback<WriteResponse> answered;
    private ErrorCallback failed;
    private ScheduledFuture<?> deadline;
    private ScheduledFuture<?> blockDeadline;
    private Request current;
    private boolean ended;
    /** Touched by one callback at a time: there is never more than one block under way. */
    private int szx = LARGEST_SZX;
    private long sent;

    PackagePush(PackagePushes pushes, Registration registration, Plan plan, long timeoutMillis,
            ScheduledExecutorService timer) {
        this.pushes = pushes;
        this.registration = registration;
        this.plan = plan;
        this.transmission = new Transmission(registration, timeoutMillis, REPEATED_MILLIS);
        this.timer = timer;
    }

    /** For the whole transfer, in ms. */
    public long timeoutMillis() {
        return transmission.timeoutMillis();
    }

    public Plan plan() {
        return plan;
    }

    String endpoint() {
        return registration.getEndpoint();
    }

    String registrationId() {
        return registration.getId();
    }

    /** Whether a datagram of it left, or may have. */
    public boolean left() {
        return transmission.left();
    }

    /** Begins without waiting; exactly one of the callbacks is run, on any thread. */
    public void start(ResponseCallback<WriteResponse> onAnswer, ErrorCallback onFailure) {
        boolean cancelled;
        synchronized (this) {
            cancelled = ended;
            answered = onAnswer;
            failed = onFailure;
        }
        if (cancelled) {
            onFailure.onError(new RequestCanceledException("Request %s cancelled", plan.path));
            return;
        }
        if (!pushes.add(this)) {
            fail(new RequestRejectedException("another package is being written to %s", plan.path));
            return;
        }
        synchronized (this) {
            cancelled = ended;
            if (!ended) {
                deadline = timer.schedule(() -> timedOut("the transfer took too long"), timeoutMillis(),
                        TimeUnit.MILLISECONDS);
            }
        }
        if (cancelled) {
            pushes.remove(this);
            return;
        }
        sendNext();
    }

    /** Ends it before the next block. */
    public void cancel() {
        cancel("Request %s cancelled");
    }

    /** @param reason with a place for the path */
    void cancel(String reason) {
        fail(new RequestCanceledException(reason, plan.path));
    }

    private void timedOut(String reason) {
        fail(new TimeoutException(TimeoutException.Type.RESPONSE_TIMEOUT, "Request %s timed out: %s", plan.path, reason));
    }

    private void fail(Exception error) {
        // who cancels what has not begun is told at the beginning
        if (end() && failed != null) {
            failed.onError(error);
        }
    }

    private boolean end() {
        Request running;
        synchronized (this) {
            if (ended) {
                return false;
            }
            ended = true;
            running = current;
            current = null;
            for (ScheduledFuture<?> planned : new ScheduledFuture<?>[] { deadline, blockDeadline }) {
                if (planned != null) {
                    planned.cancel(false);
                }
            }
        }
        if (running != null) {
            running.cancel();
        }
        pushes.remove(this);
        return true;
    }

    private void sendNext() {
        try {
            Registration device = pushes.registration(registration.getId());
            if (device == null) {
                cancel("Request %s cancelled: the device's registration ended");
                return;
            }
            send(device, BlockOption.szx2Size(szx));
        } catch (NoSuchFileException e) {
            fail(new SendFailedException(e, "the package was removed"));
        } catch (IOException e) {
            fail(new SendFailedException(e, "the package cannot be read: %s", e.getMessage()));
        } catch (RuntimeException e) {
            fail(e);
        }
    }

    private void send(Registration device, int size) throws IOException {
        long total = plan.stored.size();
        int length = (int) Math.min(size, total - sent);
        boolean more = sent + length < total;
        long number = sent / size;
        if (number > BlockOption.MAXIMUM_BLOCK_NUM) {
            throw new SendFailedException("the device takes blocks of %d bytes: of those, %d bytes are too many", size,
                    total);
        }
        Request request = plan.replace ? Request.newPut() : Request.newPost();
        pushes.address(request, device, plan.path);
        request.getOptions().setContentFormat(MediaTypeRegistry.APPLICATION_OCTET_STREAM);
        request.setPayload(pushes.read(plan.stored.sha256(), sent, length));
        if (sent > 0 || more) {
            request.getOptions().setBlock1(szx, more, (int) number);
            if (sent == 0) {
                request.getOptions().setSize1((int) total);
            }
        }
        request.addMessageObserver(new BlockObserver(request, length, more));
        Endpoint endpoint = pushes.endpoint(device);
        synchronized (this) {
            if (ended) {
                return;
            }
            current = request;
            transmission.apply(request);
            if (blockDeadline != null) {
                blockDeadline.cancel(false);
            }
            blockDeadline = timer.schedule(() -> timedOut("a block was not answered"), BLOCK_MILLIS, TimeUnit.MILLISECONDS);
        }
        endpoint.sendRequest(request);
    }

    private void answered(Response response, int length, boolean more) {
        BlockOption acknowledged = response.getOptions().getBlock1();
        boolean smaller = acknowledged != null && acknowledged.getSzx() < szx;
        if (response.isError()) {
            if (response.getCode() == CoAP.ResponseCode.REQUEST_ENTITY_TOO_LARGE && sent == 0 && more && smaller) {
                // RFC 7959, 2.9.3: the same again in smaller blocks
                szx = acknowledged.getSzx();
                sendNext();
            } else {
                finish(new WriteResponse(ResponseCodeUtil.toLwM2mResponseCode(response.getCode()),
                        response.getPayloadString(), response));
            }
            return;
        }
        // a device that acts on each block answers each, without the M bit (RFC 7959, 2.3)
        boolean goesOn = response.getCode() == CoAP.ResponseCode.CONTINUE || acknowledged != null && !acknowledged.isM();
        if (more ? !goesOn : response.getCode() != CoAP.ResponseCode.CHANGED) {
            fail(new InvalidResponseException("the device answered %s when it had %d of %d bytes", response.getCode(),
                    sent + length, plan.stored.size()));
            return;
        }
        sent += length;
        pushes.report(progress(), !more);
        if (more) {
            szx = smaller ? acknowledged.getSzx() : szx;
            sendNext();
        } else {
            finish(new WriteResponse(ResponseCode.CHANGED, null, response));
        }
    }

    private Progress progress() {
        return new Progress(registration.getEndpoint(), plan.requestId, plan.path.toString(), plan.stored.sha256(), sent,
                plan.stored.size(), BlockOption.szx2Size(szx));
    }

    private void finish(WriteResponse response) {
        if (end()) {
            answered.onResponse(response);
        }
    }

    /** Follows one block. What comes of one that is not the current one any more is nobody's concern. */
    private final class BlockObserver extends MessageObserverAdapter {

        private final Request request;
        private final int length;
        private final boolean more;

        BlockObserver(Request request, int length, boolean more) {
            this.request = request;
            this.length = length;
            this.more = more;
        }

        /** @return whether it was the current one, which it is not any more */
        private boolean done() {
            synchronized (PackagePush.this) {
                if (current != request) {
                    return false;
                }
                current = null;
                return true;
            }
        }

        @Override
        public void onResponse(Response response) {
            if (done()) {
                answered(response, length, more);
            }
        }

        private void failed(Exception error) {
            if (done()) {
                fail(error);
            }
        }

        @Override
        public void onTimeout() {
            failed(new TimeoutException(TimeoutException.Type.COAP_TIMEOUT, "Request %s timed out: no answer to a block",
                    plan.path));
        }

        @Override
        public void onReject() {
            failed(new RequestRejectedException("Request %s rejected", plan.path));
        }

        @Override
        public void onCancel() {
            failed(new RequestCanceledException("Request %s cancelled", plan.path));
        }

        @Override
        public void onSendError(Throwable error) {
            failed(errors.translate(request, error));
        }

        @Override
        public void onResponseHandlingError(Throwable error) {
            failed(new InvalidResponseException("the answer to a block cannot be used: %s", error.getMessage()));
        }
    }
}
