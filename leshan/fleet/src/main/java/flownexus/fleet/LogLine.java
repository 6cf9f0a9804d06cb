package flownexus.fleet;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A line of a device's log.
 *
 * @param sequence of the boot, from 0
 * @param uptime milliseconds since the boot
 * @param module UTF-8, at most {@link #MAX_MODULE} bytes
 * @param text UTF-8 without a line end
 */
record LogLine(long sequence, long uptime, LogSeverity severity, byte[] module, byte[] text) {

    /** Five bits say the length. */
    static final int MAX_MODULE = 31;

    /** What does not fit is cut off, never in the middle of a character. */
    static LogLine of(long sequence, long uptime, LogSeverity severity, String module, String text, int maxText) {
        return new LogLine(sequence, uptime, severity, bytes(module, MAX_MODULE), bytes(text, maxText));
    }

    private static byte[] bytes(String text, int most) {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        if (bytes.length <= most) {
            return bytes;
        }
        int end = most;
        // 10xxxxxx goes on with the character that began before
        while (end > 0 && (bytes[end] & 0xc0) == 0x80) {
            end--;
        }
        return Arrays.copyOf(bytes, end);
    }

    /** Bytes that the line takes of the ring: those of its text and, roughly, what goes with them. */
    int memory() {
        return module.length + text.length + 8;
    }

    String moduleText() {
        return new String(module, StandardCharsets.UTF_8);
    }

    String lineText() {
        return new String(text, StandardCharsets.UTF_8);
    }
}
