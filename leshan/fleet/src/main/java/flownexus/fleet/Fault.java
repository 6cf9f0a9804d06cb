package flownexus.fleet;

import java.math.BigDecimal;
import java.time.Duration;
import java.util.Arrays;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;

/**
 * A misbehaviour on demand.
 *
 * @param endpoint of the one device that misbehaves; null for all
 * @param path without a slash at the end; everything below is meant too, and "" is everything
 * @param operation null for all
 * @param seconds of the delay or the absence; unused by kinds that have neither
 * @param times how often a device does so; 0 for ever
 */
record Fault(String endpoint, String path, Operation operation, Kind kind, Duration seconds, int times) {

    /** What a request asks for. */
    enum Operation {
        READ, OBSERVE, CANCEL, DISCOVER, WRITE, ATTRIBUTES, EXECUTE, CREATE, DELETE;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** How the device misbehaves. */
    enum Kind {
        BAD_REQUEST(ResponseCode.BAD_REQUEST), UNAUTHORIZED(ResponseCode.UNAUTHORIZED), NOT_FOUND(
                ResponseCode.NOT_FOUND), METHOD_NOT_ALLOWED(ResponseCode.METHOD_NOT_ALLOWED), INTERNAL_ERROR(
                        ResponseCode.INTERNAL_SERVER_ERROR),
        /** Neither acknowledged nor answered nor done. */
        SILENT,
        /** Acknowledged, but neither done nor answered. */
        ACK_THEN_SILENT,
        /** Acknowledged and done at once, answered later. */
        LATE("1"),
        /** Gone without an answer, nothing done; back with a new registration. */
        DIE("5"),
        /** Registers anew at once; the request is done and answered later. */
        REREGISTER("0.5"),
        /** Done, but neither acknowledged nor answered. */
        EXECUTE_THEN_SILENT;

        private final ResponseCode code;
        private final String seconds;

        Kind() {
            code = null;
            seconds = null;
        }

        Kind(ResponseCode code) {
            this.code = code;
            seconds = null;
        }

        Kind(String seconds) {
            code = null;
            this.seconds = seconds;
        }

        /** The answer; null for kinds that are not an answer. */
        ResponseCode code() {
            return code;
        }

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    private static final Pattern FORM = Pattern.compile(
            "(?:(?<endpoint>.+):)?(?<path>/|(?:/\\d{1,5}){1,4})(?:@(?<operation>[a-z]+))?=(?<kind>[a-z_]+)"
                    + "(?::(?<seconds>\\d{1,7}(?:\\.\\d{1,3})?))?(?:\\*(?<times>[1-9]\\d{0,6}))?");

    /** @throws IllegalArgumentException with one line that says what is wrong */
    static Fault parse(String text) {
        Matcher matcher = FORM.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text
                    + "' is not [ENDPOINT:]PATH[@OPERATION]=KIND[:SECONDS][*TIMES], as in sim-3:/3/0/4=late:2*1");
        }
        String path = matcher.group("path");
        Kind kind = value(Kind.values(), matcher.group("kind"), "kind");
        String seconds = matcher.group("seconds");
        if (seconds != null && kind.seconds == null) {
            throw new IllegalArgumentException("'" + text + "': " + kind + " takes no seconds");
        }
        String effective = seconds == null ? kind.seconds : seconds;
        String times = matcher.group("times");
        return new Fault(matcher.group("endpoint"), "/".equals(path) ? "" : path,
                matcher.group("operation") == null ? null
                        : value(Operation.values(), matcher.group("operation"), "operation"),
                kind,
                effective == null ? Duration.ZERO
                        : Duration.ofMillis(new BigDecimal(effective).movePointRight(3).longValue()),
                times == null ? 0 : Integer.parseInt(times));
    }

    private static <T> T value(T[] values, String name, String what) {
        for (T value : values) {
            if (value.toString().equals(name)) {
                return value;
            }
        }
        throw new IllegalArgumentException("'" + name + "' is no " + what + ": "
                + Arrays.stream(values).map(Object::toString).collect(Collectors.joining(", ")));
    }

    /** @param requested as in a request, with a leading slash; "/" for a composite one */
    boolean concerns(String device, String requested, Operation wanted) {
        return (endpoint == null || endpoint.equals(device)) && (operation == null || operation == wanted)
                && (path.isEmpty() || requested.equals(path) || requested.startsWith(path + "/"));
    }
}
