package flownexus.fleet;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * A log message, version 1, of docs/device-logs.md.
 *
 * @param boot id of the boot
 * @param first sequence number of the first line
 * @param lost lines of this boot with a lower number that were given up
 * @param uptime when the message is packed, milliseconds since the boot
 * @param lines with consecutive numbers
 */
record LogMessage(int boot, long first, long lost, long uptime, List<LogLine> lines) {

    static final int HEADER = 20;
    private static final byte VERSION = 1;
    private static final byte NO_FLAGS = 0;

    byte[] encode() {
        int size = HEADER;
        long previous = 0;
        for (LogLine line : lines) {
            size += size(line, previous);
            previous = line.uptime();
        }
        ByteBuffer message = ByteBuffer.allocate(size);
        message.put(VERSION).put(NO_FLAGS).putInt(boot).putInt((int) first).putInt((int) lost);
        message.putShort((short) (uptime >>> 32)).putInt((int) uptime);
        previous = 0;
        for (LogLine line : lines) {
            putVarint(message, line.uptime() - previous);
            previous = line.uptime();
            message.put((byte) (line.severity().number() << 5 | line.module().length)).put(line.module());
            putVarint(message, line.text().length);
            message.put(line.text());
        }
        return message.array();
    }

    /** Bytes of a line in a message. @param previous uptime of the line before; 0 for the first */
    static int size(LogLine line, long previous) {
        return varintSize(line.uptime() - previous) + 1 + line.module().length + varintSize(line.text().length)
                + line.text().length;
    }

    private static int varintSize(long value) {
        return Math.max(1, (70 - Long.numberOfLeadingZeros(value)) / 7);
    }

    /** LEB128: seven bits a byte, the lowest first. */
    private static void putVarint(ByteBuffer message, long value) {
        long rest = value;
        while (rest > 0x7f) {
            message.put((byte) (rest & 0x7f | 0x80));
            rest >>>= 7;
        }
        message.put((byte) rest);
    }
}
