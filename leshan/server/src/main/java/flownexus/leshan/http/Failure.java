package flownexus.leshan.http;

import org.eclipse.leshan.core.node.InvalidLwM2mPathException;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.request.exception.InvalidRequestException;
import org.eclipse.leshan.core.request.exception.InvalidResponseException;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.eclipse.leshan.core.request.exception.RequestRejectedException;
import org.eclipse.leshan.core.request.exception.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.events.LogText;

/** Why there is no answer of a device, as callers are told: an HTTP status and one line. */
record Failure(int status, String text) {

    private static final Logger LOG = LoggerFactory.getLogger(Failure.class);

    static Failure of(Exception error) {
        String message = error.getMessage();
        LOG.debug("a request failed", error);
        if (error instanceof TimeoutException) {
            return new Failure(504, "Request timeout");
        } else if (error instanceof InvalidLwM2mPathException
                || error.getCause() instanceof InvalidLwM2mPathException) {
            Throwable path = error instanceof InvalidLwM2mPathException ? error : error.getCause();
            return new Failure(400, "Invalid path: " + path.getMessage());
        } else if (error instanceof InvalidRequestException || error instanceof CodecException
                || error instanceof IllegalArgumentException) {
            return new Failure(400, "Invalid request: " + message);
        } else if (error instanceof RequestRejectedException) {
            return new Failure(500, "Request rejected: " + message);
        } else if (error instanceof RequestCanceledException) {
            return new Failure(500, "Request cancelled: " + message);
        } else if (error instanceof InvalidResponseException) {
            return new Failure(500, "Invalid Response: " + message);
        }
        LOG.warn("a request failed: {}", LogText.of(error.toString()));
        return new Failure(500, "Unexpected exception: " + message);
    }

    void answer(Call call) {
        call.text(status, text);
    }
}
