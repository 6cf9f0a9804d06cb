package flownexus.leshan.http;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.io.Content;
import org.eclipse.jetty.server.Request;
import org.eclipse.jetty.server.Response;
import org.eclipse.jetty.util.Callback;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.json.Json;

/** One HTTP request and its answer, which is given once, at any time, from any thread. */
final class Call {

    private static final Logger LOG = LoggerFactory.getLogger(Call.class);

    private static final int MAX_BODY_BYTES = 128 << 20;

    final Request request;
    final Response response;
    final Callback callback;
    /** The decoded segments below {@code /api/NAME}. */
    final List<String> path;
    /** The decoded query. */
    final Map<String, String> query;
    private final AtomicBoolean answered = new AtomicBoolean();
    private volatile boolean bodyRead;

    Call(Request request, Response response, Callback callback, List<String> path, Map<String, String> query) {
        this.request = request;
        this.response = response;
        this.callback = callback;
        this.path = path;
        this.query = query;
        // waiting for a device is not idling
        request.addIdleTimeoutListener(timeout -> false);
    }

    String method() {
        return request.getMethod();
    }

    /** The content type without parameters, in lower case; empty if there is none. */
    String contentType() {
        String type = request.getHeaders().get(HttpHeader.CONTENT_TYPE);
        if (type == null) {
            return "";
        }
        int semicolon = type.indexOf(';');
        return (semicolon < 0 ? type : type.substring(0, semicolon)).strip().toLowerCase(Locale.ROOT);
    }

    /** Takes a body as it comes. */
    interface Pieces {

        /** @param octets valid only until this returns */
        void piece(ByteBuffer octets);

        /** All of it has come; to be answered now. */
        void end();

        /** The rest will never come. */
        void cut();
    }

    /** Reads a body of any length without blocking and without keeping it. */
    void withPieces(Pieces pieces) {
        while (true) {
            Content.Chunk chunk = request.read();
            if (chunk == null) {
                request.demand(() -> withPieces(pieces));
                return;
            }
            try {
                if (Content.Chunk.isFailure(chunk)) {
                    pieces.cut();
                    text(400, "the body cannot be read: " + chunk.getFailure().getMessage());
                    return;
                }
                pieces.piece(chunk.getByteBuffer());
                if (chunk.isLast()) {
                    bodyRead = true;
                    pieces.end();
                    return;
                }
            } catch (RuntimeException e) {
                pieces.cut();
                failed(e);
                return;
            } finally {
                chunk.release();
            }
        }
    }

    /** Reads the body without blocking, then goes on with it; what that throws becomes the answer. */
    void withBody(Consumer<byte[]> next) {
        withBody(MAX_BODY_BYTES, next);
    }

    /** As above, with another limit than usual. */
    void withBody(int maxBytes, Consumer<byte[]> next) {
        if (request.getLength() > maxBytes) {
            text(413, "the body is larger than " + (maxBytes >> 20) + " MiB");
            return;
        }
        read(new ByteArrayOutputStream(), maxBytes, next);
    }

    private void read(ByteArrayOutputStream body, int maxBytes, Consumer<byte[]> next) {
        while (true) {
            Content.Chunk chunk = request.read();
            if (chunk == null) {
                request.demand(() -> read(body, maxBytes, next));
                return;
            }
            if (Content.Chunk.isFailure(chunk)) {
                text(400, "the body cannot be read: " + chunk.getFailure().getMessage());
                return;
            }
            byte[] piece = new byte[chunk.remaining()];
            chunk.getByteBuffer().get(piece);
            boolean last = chunk.isLast();
            chunk.release();
            body.writeBytes(piece);
            if (body.size() > maxBytes) {
                text(413, "the body is larger than " + (maxBytes >> 20) + " MiB");
                return;
            }
            if (last) {
                bodyRead = true;
                try {
                    next.accept(body.toByteArray());
                } catch (RuntimeException e) {
                    failed(e);
                }
                return;
            }
        }
    }

    void json(Json.Writer writer) {
        answer(200, "application/json", Json.bytes(writer));
    }

    void json(int status, byte[] body) {
        answer(status, "application/json", body);
    }

    void text(int status, String message) {
        answer(status, "text/plain; charset=utf-8", message.getBytes(StandardCharsets.UTF_8));
    }

    void content(String type, byte[] body) {
        answer(200, type, body);
    }

    void empty(int status) {
        answer(status, null, new byte[0]);
    }

    void failed(Throwable error) {
        LOG.warn("{} {}", request.getMethod(), request.getHttpURI(), error);
        text(500, "Unexpected exception: " + error.getMessage());
    }

    private void answer(int status, String type, byte[] body) {
        if (!answered.compareAndSet(false, true)) {
            return;
        }
        if (!bodyRead && !dropBody()) {
            response.getHeaders().put(HttpHeader.CONNECTION, "close");
        }
        response.setStatus(status);
        if (type != null) {
            response.getHeaders().put(HttpHeader.CONTENT_TYPE, type);
        }
        if (status != 204) {
            response.getHeaders().put(HttpHeader.CONTENT_LENGTH, body.length);
        }
        response.write(true, ByteBuffer.wrap(body), callback);
    }

    /**
     * Drops a body that nobody asked for. False if not all of it is here yet: Jetty then ends the connection, and a client
     * that is not told so would send its next request into it.
     */
    private boolean dropBody() {
        long dropped = 0;
        while (dropped < MAX_BODY_BYTES) {
            Content.Chunk chunk = request.read();
            if (chunk == null || Content.Chunk.isFailure(chunk)) {
                return false;
            }
            dropped += chunk.remaining();
            boolean last = chunk.isLast();
            chunk.release();
            if (last) {
                return true;
            }
        }
        return false;
    }
}
