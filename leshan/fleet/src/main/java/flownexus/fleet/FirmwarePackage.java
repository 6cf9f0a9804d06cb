package flownexus.fleet;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;

/** A firmware package that comes in piece by piece: of its content only the beginning and the hash are kept. */
final class FirmwarePackage {

    private static final int HEAD = 4096;
    /** MCUboot's image header: magic, 16 bytes of sizes, addresses and flags, and the version. */
    private static final int MCUBOOT_MAGIC = 0x96f3b83d;
    private static final int MCUBOOT_VERSION = 20;
    private static final int MCUBOOT_VERSION_END = 28;
    private static final String VERSION_LINE = "version:";

    private final MessageDigest digest;
    private byte[] head = new byte[0];
    private long size;

    FirmwarePackage() {
        try {
            digest = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java has SHA-256", e);
        }
    }

    void add(byte[] piece) {
        digest.update(piece);
        if (head.length < HEAD) {
            int old = head.length;
            int more = Math.min(piece.length, HEAD - old);
            head = Arrays.copyOf(head, old + more);
            System.arraycopy(piece, 0, head, old, more);
        }
        size += piece.length;
    }

    /** In bytes, so far. */
    long size() {
        return size;
    }

    /** Nothing more will come. */
    Complete complete() {
        String sha256 = HexFormat.of().formatHex(digest.digest());
        return new Complete(sha256, size, version(sha256));
    }

    /** @param size in bytes; @param version what the device calls the firmware in it */
    record Complete(String sha256, long size, String version) {
    }

    private String version(String sha256) {
        ByteBuffer header = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN);
        if (head.length >= MCUBOOT_VERSION_END && header.getInt(0) == MCUBOOT_MAGIC) {
            header.position(MCUBOOT_VERSION);
            String version = Byte.toUnsignedInt(header.get()) + "." + Byte.toUnsignedInt(header.get()) + "."
                    + Short.toUnsignedInt(header.getShort());
            int build = header.getInt();
            return build == 0 ? version : version + "+" + Integer.toUnsignedString(build);
        }
        String text = new String(head, StandardCharsets.UTF_8);
        int end = text.indexOf('\n');
        if (text.startsWith(VERSION_LINE) && end > 0) {
            String version = text.substring(VERSION_LINE.length(), end).strip();
            if (!version.isEmpty()) {
                return version;
            }
        }
        return "sha256:" + sha256.substring(0, 8);
    }
}
