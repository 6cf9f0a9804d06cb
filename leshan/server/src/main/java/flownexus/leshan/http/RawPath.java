package flownexus.leshan.http;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Splits a request's path and query before decoding them, so that an endpoint name may hold any character, slashes and
 * percent signs included.
 */
final class RawPath {

    private RawPath() {
    }

    /**
     * The decoded segments of a path; one slash at the end is ignored.
     *
     * @throws IllegalArgumentException if a segment is empty or wrongly encoded
     */
    static List<String> segments(String path) {
        List<String> segments = new ArrayList<>();
        if (path == null) {
            throw new IllegalArgumentException("there is none");
        }
        String inner = path.startsWith("/") ? path.substring(1) : path;
        inner = inner.endsWith("/") ? inner.substring(0, inner.length() - 1) : inner;
        for (String segment : inner.split("/", -1)) {
            if (segment.isEmpty()) {
                throw new IllegalArgumentException("an empty segment");
            }
            segments.add(decode(segment, false));
        }
        return segments;
    }

    /**
     * The decoded parameters of a query, in order; a key without a value maps to null, of a repeated one the last counts.
     *
     * @throws IllegalArgumentException if it is wrongly encoded
     */
    static Map<String, String> query(String query) {
        Map<String, String> parameters = new LinkedHashMap<>();
        if (query == null || query.isEmpty()) {
            return parameters;
        }
        for (String pair : query.split("&")) {
            int equals = pair.indexOf('=');
            if (equals < 0) {
                parameters.put(decode(pair, true), null);
            } else {
                parameters.put(decode(pair.substring(0, equals), true), decode(pair.substring(equals + 1), true));
            }
        }
        return parameters;
    }

    private static String decode(String text, boolean plusIsSpace) {
        ByteBuffer bytes = ByteBuffer.allocate(text.length() * 3);
        for (int index = 0; index < text.length(); index++) {
            char character = text.charAt(index);
            if (character == '%') {
                int high = index + 2 < text.length() ? Character.digit(text.charAt(index + 1), 16) : -1;
                int low = index + 2 < text.length() ? Character.digit(text.charAt(index + 2), 16) : -1;
                if (high < 0 || low < 0) {
                    throw new IllegalArgumentException("a percent sign that begins no %XX");
                }
                bytes.put((byte) (high << 4 | low));
                index += 2;
            } else if (character == '+' && plusIsSpace) {
                bytes.put((byte) ' ');
            } else {
                bytes.put(String.valueOf(character).getBytes(StandardCharsets.UTF_8));
            }
        }
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(bytes.flip()).toString();
        } catch (CharacterCodingException e) {
            throw new IllegalArgumentException("what it encodes is not UTF-8", e);
        }
    }
}
