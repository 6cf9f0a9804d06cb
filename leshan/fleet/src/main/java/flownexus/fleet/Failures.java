package flownexus.fleet;

import org.eclipse.californium.scandium.dtls.AlertMessage;
import org.eclipse.californium.scandium.dtls.DtlsHandshakeTimeoutException;
import org.eclipse.californium.scandium.dtls.HandshakeException;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.eclipse.leshan.core.request.exception.TimeoutException;

/** Why a request came to nothing, in words of one line. */
final class Failures {

    private Failures() {
    }

    static String describe(Throwable error) {
        String innermost = null;
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof DtlsHandshakeTimeoutException) {
                return "no answer to the DTLS handshake";
            }
            if (cause instanceof HandshakeException handshake) {
                return "DTLS handshake failed: " + describe(handshake);
            }
            if (cause instanceof TimeoutException && cause.getCause() == null) {
                return "no answer";
            }
            if (cause instanceof RequestCanceledException) {
                return "given up";
            }
            innermost = cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
        }
        return innermost == null ? "unknown" : innermost.lines().findFirst().orElse(innermost);
    }

    private static String describe(HandshakeException handshake) {
        AlertMessage alert = handshake.getAlert();
        String text = handshake.getMessage();
        for (Throwable cause = handshake.getCause(); cause != null; cause = cause.getCause()) {
            if (cause.getMessage() != null) {
                text = cause.getMessage();
            }
        }
        String description = alert == null || alert.getDescription() == null ? "" : " (alert "
                + alert.getDescription() + ")";
        return (text == null ? "" : text.lines().findFirst().orElse("")) + description;
    }
}
