package flownexus.leshan.journal;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/**
 * One event of the journal.
 *
 * @param sequence its place, from 1, without holes
 * @param type the event's name, e.g. SEND
 * @param endpoint the device it is about, or an empty string
 * @param data JSON in UTF-8, without line breaks
 */
public record Entry(long sequence, String type, String endpoint, byte[] data) {

    /** Bytes of the two length fields around a record's variable parts. */
    private static final int FIXED_BYTES = 4 + 2 + 2;

    static byte[] encode(String type, String endpoint, byte[] data) {
        byte[] typeBytes = type.getBytes(StandardCharsets.UTF_8);
        byte[] endpointBytes = endpoint.getBytes(StandardCharsets.UTF_8);
        if (endpointBytes.length > 0xffff) {
            throw new IllegalArgumentException("an endpoint name of " + endpointBytes.length + " bytes");
        }
        ByteBuffer buffer = ByteBuffer.allocate(FIXED_BYTES + typeBytes.length + endpointBytes.length + data.length);
        buffer.putShort((short) typeBytes.length).put(typeBytes);
        buffer.putShort((short) endpointBytes.length).put(endpointBytes);
        buffer.putInt(data.length).put(data);
        return buffer.array();
    }

    static Entry decode(long sequence, ByteBuffer buffer) {
        String type = text(buffer, buffer.getShort() & 0xffff);
        String endpoint = text(buffer, buffer.getShort() & 0xffff);
        byte[] data = new byte[buffer.getInt()];
        buffer.get(data);
        return new Entry(sequence, type, endpoint, data);
    }

    private static String text(ByteBuffer buffer, int length) {
        byte[] bytes = new byte[length];
        buffer.get(bytes);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    int size() {
        return FIXED_BYTES + type.length() + endpoint.length() + data.length;
    }
}
