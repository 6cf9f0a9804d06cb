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
 * @param endpoint of the devices that misbehave, {@code *} and {@code ?} stand for any characters and any one; null for
 *        all
 * @param path without a slash at the end; everything below is meant too, and "" is everything
 * @param operation null for all
 * @param number of bytes of a package after which it happens; of {@link Kind#VALUE}, the how-manieth value is meant; 0
 *        for kinds without
 * @param seconds of the delay or the absence; unused by kinds that have neither
 * @param text what follows {@link Kind#OTHER_VERSION}, {@link Kind#VALUE}, {@link Kind#CLOCK} or {@link Kind#DRIFT};
 *        else ""
 * @param times how often a device does so; 0 for ever
 */
record Fault(String endpoint, String path, Operation operation, Kind kind, long number, Duration seconds, String text,
        int times) {

    /** What a request asks for. */
    enum Operation {
        READ, OBSERVE, CANCEL, DISCOVER, WRITE, ATTRIBUTES, EXECUTE, CREATE, DELETE;

        @Override
        public String toString() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** When a fault is looked for. */
    enum Stage {
        REQUEST(null),
        /** A package begins to come in, whichever way. */
        DELIVERY(Place.FIRMWARE),
        /** As before, for faults that go with others. */
        PACE(Place.FIRMWARE),
        /** The update is to be executed: does the request come in, does the answer get out? */
        EXECUTION(Place.FIRMWARE),
        /** It was executed. */
        INSTALLATION(Place.FIRMWARE),
        /** A sensor has measured. */
        MEASUREMENT(Place.VALUE),
        /** A message of a Send has arrived. */
        SEND(Place.SEND),
        /** The device starts. */
        CLOCK(Place.CLOCK),
        /** As before, for faults that go with others. */
        RATE(Place.CLOCK);

        private final Place place;

        Stage(Place place) {
            this.place = place;
        }
    }

    /** Where a fault may be that is not one of requests. */
    private enum Place {
        FIRMWARE("/|/5(?:/\\d+)?", "of firmware, its path is /5 or /5/INSTANCE"),
        VALUE("/|/330[34](?:/0(?:/5700)?)?", "of values, its path is /3303/0/5700 or /3304/0/5700"),
        SEND("/|/3303(?:/0(?:/5700)?)?|/20(?:/0(?:/4014)?)?", "of Sends, its path is /3303/0/5700 or /20/0/4014"),
        CLOCK("/3/0/13", "of the clock, its path is /3/0/13");

        private final Pattern paths;
        private final String description;

        Place(String paths, String description) {
            this.paths = Pattern.compile(paths);
            this.description = description;
        }
    }

    /** What follows a kind. */
    private enum Argument {
        NONE, SECONDS, BYTES_AND_SECONDS, TEXT, DECIMAL, EVERY_DECIMAL, TIME
    }

    /** How the device misbehaves. */
    enum Kind {
        BAD_REQUEST(ResponseCode.BAD_REQUEST), UNAUTHORIZED(ResponseCode.UNAUTHORIZED), NOT_FOUND(
                ResponseCode.NOT_FOUND), METHOD_NOT_ALLOWED(ResponseCode.METHOD_NOT_ALLOWED), INTERNAL_ERROR(
                        ResponseCode.INTERNAL_SERVER_ERROR),
        /** Neither acknowledged nor answered nor done. */
        SILENT(Stage.REQUEST),
        /** Acknowledged, but neither done nor answered. */
        ACK_THEN_SILENT(Stage.REQUEST),
        /** Acknowledged and done at once, answered later. */
        LATE(Stage.REQUEST, Argument.SECONDS, "1"),
        /** Gone without an answer, nothing done; back with a new registration. */
        DIE(Stage.REQUEST, Argument.SECONDS, "5"),
        /** Registers anew at once; the request is done and answered later. */
        REREGISTER(Stage.REQUEST, Argument.SECONDS, "0.5"),
        /** Done, but neither acknowledged nor answered. */
        EXECUTE_THEN_SILENT(Stage.REQUEST),

        /** The package is complete, but its check fails: Update Result 5. */
        INTEGRITY(Stage.DELIVERY),
        /** No flash memory for the package: 4.13 to the first block, Result 2. */
        NO_SPACE(Stage.DELIVERY),
        /** Out of RAM in the middle: 5.00 to the second block, Result 3. */
        NO_MEMORY(Stage.DELIVERY),
        /** The package is complete, but of an unknown type: Result 6. */
        UNSUPPORTED(Stage.DELIVERY),
        /** Pull: the URI is of no use, Result 7. */
        URI(Stage.DELIVERY),
        /** Pull: its scheme is not supported, Result 9. */
        PROTOCOL(Stage.DELIVERY),
        /** Radio gone at that byte; back with a new registration, State 0 and Result 4. */
        LOST(Stage.DELIVERY, Argument.BYTES_AND_SECONDS, "5"),
        /** From that byte on no block is answered, or asked for; 0 seconds: until the fault is taken away. */
        SILENT_AT(Stage.DELIVERY, Argument.BYTES_AND_SECONDS, "0"),
        /** The package is complete, but State stays 1. */
        HANG_1(Stage.DELIVERY),
        /** So long for each block. */
        SLOW(Stage.PACE, Argument.SECONDS, "0.1"),

        /** The execute never arrives. */
        EXECUTE_LOST(Stage.EXECUTION),
        /** The execute's answer never leaves; the device installs. */
        EXECUTE_MUTE(Stage.EXECUTION),

        /** Answered, but nothing happens: State stays 2. */
        HANG_2(Stage.INSTALLATION),
        /** State 3 for ever. */
        HANG_3(Stage.INSTALLATION),
        /** Result 8, State 0, no reboot. */
        INSTALL_FAILED(Stage.INSTALLATION),
        /** Result 8, State 2, no reboot. */
        INSTALL_FAILED_2(Stage.INSTALLATION),
        /** Reboot and Result 1, but the version is what it was. */
        CONSTANT_VERSION(Stage.INSTALLATION),
        /** Reboot with the old version, State 0 and Result 0. */
        NO_CHANGE(Stage.INSTALLATION),
        /** Success; so long after the new registration another reboot with the old version, Result as before. */
        ROLLBACK(Stage.INSTALLATION, Argument.SECONDS, "5"),
        /** Success with a version that nobody asked for. */
        OTHER_VERSION(Stage.INSTALLATION, Argument.TEXT, null),
        /** Somebody at the device says no: State 0, Result 10. */
        CANCELLED(Stage.INSTALLATION),
        /** Somebody at the device says later: State 2, Result 11. */
        DEFERRED(Stage.INSTALLATION),

        /** Measures this number, which may be NaN, Infinity or -Infinity; with {@code @N} only each Nth time. */
        VALUE(Stage.MEASUREMENT, Argument.EVERY_DECIMAL, null),
        /** Collects two values, one apart, for the same moment. */
        CONFLICT(Stage.MEASUREMENT),
        /** Sends the message once more although it has arrived. */
        TWICE(Stage.SEND),
        /** The clock shows another time when the device starts; see {@link DeviceClock#parse}. */
        CLOCK(Stage.CLOCK, Argument.TIME, null),
        /** The clock gains so many millionths. */
        DRIFT(Stage.RATE, Argument.DECIMAL, null);

        private final Stage stage;
        private final ResponseCode code;
        private final Argument argument;
        private final String standard;

        Kind(ResponseCode code) {
            stage = Stage.REQUEST;
            this.code = code;
            argument = Argument.NONE;
            standard = null;
        }

        Kind(Stage stage) {
            this(stage, Argument.NONE, null);
        }

        Kind(Stage stage, Argument argument, String standard) {
            this.stage = stage;
            code = null;
            this.argument = argument;
            this.standard = standard;
        }

        Stage stage() {
            return stage;
        }

        /** The answer; null for kinds that are not an answer. */
        ResponseCode code() {
            return code;
        }

        /** As users write it: {@code silent@BYTES} is told from {@code silent} by its bytes. */
        @Override
        public String toString() {
            String name = this == SILENT_AT ? "silent" : name().toLowerCase(Locale.ROOT);
            return stage == Stage.REQUEST ? name : name.replace('_', '-');
        }
    }

    private static final String FORM = "[ENDPOINT:]PATH[@OPERATION]=KIND[@BYTES][:SECONDS][*TIMES], as in "
            + "sim-3:/3/0/4=late:2*1";
    private static final Pattern PATTERN = Pattern.compile(
            "(?:(?<endpoint>.+):)?(?<path>/|(?:/\\d{1,5}){1,4})(?:@(?<operation>[a-z]+))?=(?<kind>[a-z0-9_-]+)"
                    + "(?:@(?<bytes>\\d{1,10}))?(?::(?<argument>[^*]+))?(?:\\*(?<times>[1-9]\\d{0,6}))?");
    private static final Pattern SECONDS = Pattern.compile("\\d{1,7}(?:\\.\\d{1,3})?");

    /** @throws IllegalArgumentException with one line that says what is wrong */
    static Fault parse(String text) {
        Matcher matcher = PATTERN.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text + "' is not " + FORM);
        }
        String path = matcher.group("path");
        String operation = matcher.group("operation");
        String bytes = matcher.group("bytes");
        String times = matcher.group("times");
        Kind kind = kind(matcher.group("kind"), bytes != null);
        boolean counted = kind.argument == Argument.BYTES_AND_SECONDS;
        if (counted && bytes == null || !counted && bytes != null && kind.argument != Argument.EVERY_DECIMAL) {
            throw new IllegalArgumentException("'" + text + "': " + kind
                    + (counted ? " needs the number of bytes, as in " + kind + "@4096" : " takes no bytes"));
        }
        Place place = kind.stage.place;
        if (place != null && (operation != null || !place.paths.matcher(path).matches())) {
            throw new IllegalArgumentException("'" + text + "': " + kind + " is a fault " + place.description
                    + " without an operation");
        }
        String argument = matcher.group("argument");
        return new Fault(matcher.group("endpoint"), "/".equals(path) ? "" : path,
                operation == null ? null : value(Operation.values(), operation, "operation"), kind,
                bytes == null ? 0 : Long.parseLong(bytes), seconds(text, kind, argument), text(text, kind, argument),
                times == null ? 0 : Integer.parseInt(times));
    }

    /** Underscores and hyphens are the same: nobody remembers which it was. */
    private static Kind kind(String name, boolean counted) {
        String plain = name.replace('-', '_');
        for (Kind kind : Kind.values()) {
            if (kind.toString().replace('-', '_').equals(plain) && (kind != Kind.SILENT || !counted)) {
                return kind;
            }
        }
        return value(Kind.values(), name, "kind");
    }

    private static Duration seconds(String text, Kind kind, String argument) {
        boolean timed = kind.argument == Argument.SECONDS || kind.argument == Argument.BYTES_AND_SECONDS;
        if (!timed && kind.argument != Argument.NONE) {
            return Duration.ZERO;
        }
        if (argument != null && (!timed || !SECONDS.matcher(argument).matches())) {
            throw new IllegalArgumentException("'" + text + "': " + kind
                    + (timed ? ":" + argument + " is not a number of seconds" : " takes no seconds"));
        }
        String effective = argument == null ? kind.standard : argument;
        return effective == null ? Duration.ZERO
                : Duration.ofMillis(new BigDecimal(effective).movePointRight(3).longValue());
    }

    private static String text(String text, Kind kind, String argument) {
        String example = switch (kind.argument) {
        case TEXT -> "a text, as in " + kind + ":9.9.9";
        case DECIMAL -> "a number, as in " + kind + ":50";
        case EVERY_DECIMAL -> "a number, as in " + kind + ":NaN";
        case TIME -> "a time, as in " + kind + ":boot, " + kind + ":2000-01-01 or " + kind + ":-3600";
        default -> null;
        };
        if (example == null) {
            return "";
        }
        try {
            if (argument == null) {
                throw new IllegalArgumentException();
            }
            if (kind.argument == Argument.TIME) {
                DeviceClock.parse(argument);
            } else if (kind.argument != Argument.TEXT) {
                Double.parseDouble(argument);
            }
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("'" + text + "': " + kind + " needs " + example, e);
        }
        return argument;
    }

    private static <T> T value(T[] values, String name, String what) {
        for (T value : values) {
            if (value.toString().equals(name)) {
                return value;
            }
        }
        throw new IllegalArgumentException("'" + name + "' is no " + what + ": "
                + Arrays.stream(values).map(Object::toString).distinct().collect(Collectors.joining(", ")));
    }

    /** @param requested as in a request, with a leading slash; "/" for a composite one */
    boolean concerns(String device, String requested, Operation wanted) {
        return concerns(device) && (operation == null || operation == wanted)
                && (path.isEmpty() || requested.equals(path) || requested.startsWith(path + "/"));
    }

    private boolean concerns(String device) {
        return endpoint == null || endpoint.equals(device) || fits(endpoint, device);
    }

    /** Whether a name is as a pattern with {@code *} and {@code ?} wants it. */
    private static boolean fits(String pattern, String name) {
        StringBuilder regex = new StringBuilder();
        for (char c : pattern.toCharArray()) {
            regex.append(c == '*' ? ".*" : c == '?' ? "." : Pattern.quote(String.valueOf(c)));
        }
        return name.matches(regex.toString());
    }
}
