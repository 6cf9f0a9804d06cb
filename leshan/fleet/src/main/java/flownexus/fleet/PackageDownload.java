package flownexus.fleet;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.Arrays;
import java.util.concurrent.Executor;
import java.util.function.Supplier;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MessageObserverAdapter;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.BlockOption;
import org.eclipse.californium.core.network.Endpoint;
import org.eclipse.californium.elements.AddressEndpointContext;

/**
 * Fetches a firmware package block by block (RFC 7959, Block2), over a connection of its own. Each block is asked for with
 * {@link #next()}, so that nothing but a block is held.
 */
final class PackageDownload {

    /** Takes what comes. Called on protocol threads. */
    interface Receiver {
        void received(byte[] block, boolean more);

        /** The end. @param result for the Update Result (5/x/5) */
        void failed(int result, String reason);
    }

    /** A connection that can be made, and thrown away without a word. */
    interface Line {
        Endpoint open() throws IOException;

        /** From now on nothing is sent or received. */
        void mute();

        void close();
    }

    /**
     * Message ids must not come again while the server remembers them (RFC 7252, 4.4): a fast and large download would
     * run out of them, a new connection has all of them again.
     */
    private static final int REQUESTS_PER_CONNECTION = 30_000;

    private final Line line;
    private final Executor worker;
    private final Supplier<Request> requests;
    private final Receiver receiver;
    private Endpoint endpoint;
    private int szx;
    private long offset;
    private long asked;
    private byte[] etag;
    private boolean closed;

    /**
     * @param worker runs what takes a while
     * @param requests makes a GET for the package
     * @param blockSize to ask for, in bytes; the server may give less
     */
    PackageDownload(Line line, Executor worker, Supplier<Request> requests, int blockSize, Receiver receiver) {
        this.line = line;
        this.worker = worker;
        this.requests = requests;
        this.receiver = receiver;
        szx = BlockOption.size2Szx(blockSize);
    }

    /** A GET for a package at a place that is already resolved: its name is for the certificate only. */
    static Request request(URI uri, InetSocketAddress address) {
        Request request = Request.newGet();
        request.setConfirmable(true);
        request.setScheme(uri.getScheme());
        request.setDestinationContext(new AddressEndpointContext(address));
        if (uri.getPath() != null) {
            request.getOptions().setUriPath(uri.getPath());
        }
        if (uri.getQuery() != null) {
            request.getOptions().setUriQuery(uri.getQuery());
        }
        return request;
    }

    /** Asks for the next block. */
    void next() {
        worker.execute(this::ask);
    }

    private void ask() {
        Request request;
        Endpoint target;
        synchronized (this) {
            if (closed) {
                return;
            }
            try {
                if (endpoint != null && asked % REQUESTS_PER_CONNECTION == 0) {
                    line.close();
                    endpoint = null;
                }
                if (endpoint == null) {
                    endpoint = line.open();
                }
                asked++;
                request = requests.get();
            } catch (IOException | IllegalArgumentException e) {
                worker.execute(() -> receiver.failed(FirmwareInstance.CONNECTION_LOST, Failures.describe(e)));
                return;
            }
            target = endpoint;
            request.getOptions().setBlock2(szx, false, (int) (offset >> szx + 4));
        }
        request.addMessageObserver(new Answer());
        request.send(target);
    }

    private void answered(Response response) {
        byte[] data = response.getPayload() == null ? new byte[0] : response.getPayload();
        boolean more;
        synchronized (this) {
            if (closed) {
                return;
            }
            String wrong = wrong(response);
            if (wrong != null) {
                failSoon(response.getCode() == ResponseCode.CONTENT ? FirmwareInstance.CONNECTION_LOST
                        : FirmwareInstance.INVALID_URI, wrong);
                return;
            }
            BlockOption block = response.getOptions().getBlock2();
            more = block != null && block.isM();
            szx = block == null ? szx : block.getSzx();
            offset += data.length;
        }
        receiver.received(data, more);
    }

    private String wrong(Response response) {
        if (response.getCode() != ResponseCode.CONTENT) {
            return "the answer is " + response.getCode();
        }
        BlockOption block = response.getOptions().getBlock2();
        if ((block == null ? 0 : block.getOffset()) != offset) {
            return "the answer is not the block that was asked for";
        }
        byte[] current = response.getOptions().getETags().isEmpty() ? null
                : response.getOptions().getETags().get(0).getValue();
        if (offset > 0 && !Arrays.equals(etag, current)) {
            return "the package was replaced in the middle";
        }
        etag = current;
        return null;
    }

    private void failSoon(int result, String reason) {
        worker.execute(() -> receiver.failed(result, reason));
    }

    /** Nothing more is asked for. @param quietly as when the power goes */
    void close(boolean quietly) {
        synchronized (this) {
            if (closed) {
                return;
            }
            closed = true;
        }
        if (quietly) {
            line.mute();
        }
        worker.execute(line::close);
    }

    /** As {@link #close(boolean)} when there are no threads any more. */
    void destroy() {
        synchronized (this) {
            closed = true;
        }
        line.mute();
        line.close();
    }

    private final class Answer extends MessageObserverAdapter {

        Answer() {
            super(false);
        }

        @Override
        public void onResponse(Response response) {
            answered(response);
        }

        @Override
        public void onTimeout() {
            failSoon(FirmwareInstance.CONNECTION_LOST, "no answer");
        }

        @Override
        public void onReject() {
            failSoon(FirmwareInstance.CONNECTION_LOST, "the request was rejected");
        }

        @Override
        public void onSendError(Throwable error) {
            failSoon(FirmwareInstance.CONNECTION_LOST, Failures.describe(error));
        }
    }
}
