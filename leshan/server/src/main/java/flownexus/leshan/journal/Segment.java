package flownexus.leshan.journal;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.CRC32C;

/**
 * One file of the journal: a header, then batches. A batch is what one commit wrote; it is the unit that is whole or not.
 * <pre>
 * header: magic(8) journal-id(16, ASCII) first-sequence(8) crc32c(4)
 * batch:  magic(4) payload-length(4) first-sequence(8) count(4) crc32c(4, over the three before it and the payload) payload
 * </pre>
 * All integers are big endian. Files are never changed but by appending and by cutting off a torn tail at start.
 */
final class Segment {

    static final int ID_LENGTH = 16;
    static final int HEADER_BYTES = 8 + ID_LENGTH + 8 + 4;
    static final int BATCH_HEADER_BYTES = 4 + 4 + 8 + 4 + 4;

    private static final long FILE_MAGIC = 0x464e4a524e4c0001L;
    private static final int BATCH_MAGIC = 0xF10B_A7C4;
    /** An index entry every so many bytes: what a reader parses at most before it is at its place. */
    private static final int INDEX_STEP = 32 * 1024;

    final Path file;
    final String journalId;
    final long first;
    private final TreeMap<Long, Long> offsets = new TreeMap<>();
    private volatile long end = HEADER_BYTES;
    private volatile long last;
    private long indexed = Long.MIN_VALUE;

    private Segment(Path file, String journalId, long first) {
        this.file = file;
        this.journalId = journalId;
        this.first = first;
        this.last = first - 1;
    }

    /** A file whose content is not what this class wrote, in a place where no crash can explain it. */
    static final class CorruptException extends IOException {
        CorruptException(String message) {
            super(message);
        }
    }

    static Path fileName(Path folder, long first) {
        return folder.resolve("%020d.journal".formatted(first));
    }

    static Segment create(Path folder, String journalId, long first) throws IOException {
        Path file = fileName(folder, first);
        Files.deleteIfExists(file);
        Files.createFile(file, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
        ByteBuffer header = ByteBuffer.allocate(HEADER_BYTES);
        header.putLong(FILE_MAGIC).put(journalId.getBytes(StandardCharsets.US_ASCII)).putLong(first);
        header.putInt(crc(header.array(), 0, header.position())).flip();
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
            writeFully(channel, header, 0);
            channel.force(true);
        }
        try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
            directory.force(true);
        }
        return new Segment(file, journalId, first);
    }

    /**
     * Reads a whole file and checks it.
     *
     * @param newest whether it is the file that was being written: only there a torn tail is cut off
     * @return the segment, or null if it is the newest and its header was never finished
     * @throws CorruptException if it holds anything else than whole batches (and perhaps a torn tail)
     */
    static Segment recover(Path file, boolean newest) throws IOException {
        ByteBuffer content = ByteBuffer.wrap(Files.readAllBytes(file));
        if (content.capacity() < HEADER_BYTES) {
            if (newest) {
                return null;
            }
            throw new CorruptException(file.getFileName() + " has no header");
        }
        long magic = content.getLong();
        byte[] id = new byte[ID_LENGTH];
        content.get(id);
        long first = content.getLong();
        if (magic != FILE_MAGIC || content.getInt() != crc(content.array(), 0, HEADER_BYTES - 4)) {
            throw new CorruptException(file.getFileName() + " has no valid header");
        }
        Segment segment = new Segment(file, new String(id, StandardCharsets.US_ASCII), first);
        int offset = HEADER_BYTES;
        while (offset < content.capacity()) {
            int length = batchAt(content, offset, segment.last + 1);
            if (length < 0) {
                break;
            }
            segment.committed(offset, content.getInt(offset + 16), length);
            offset += length;
        }
        if (offset < content.capacity()) {
            if (!newest || followedByBatch(content, offset)) {
                throw new CorruptException(file.getFileName() + " is damaged at byte " + offset);
            }
            try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
                channel.truncate(offset);
                channel.force(true);
            }
        }
        return segment;
    }

    /** A batch was written whole before the next one was begun, so a valid one after damage means damage, not a crash. */
    private static boolean followedByBatch(ByteBuffer content, int from) {
        for (int offset = from + 1; offset + BATCH_HEADER_BYTES <= content.capacity(); offset++) {
            if (content.getInt(offset) == BATCH_MAGIC && batchAt(content, offset, content.getLong(offset + 8)) > 0) {
                return true;
            }
        }
        return false;
    }

    /** The length of the batch that begins here with that sequence, or -1 if there is none. */
    private static int batchAt(ByteBuffer content, int offset, long sequence) {
        if (content.capacity() - offset < BATCH_HEADER_BYTES || content.getInt(offset) != BATCH_MAGIC) {
            return -1;
        }
        int payload = content.getInt(offset + 4);
        if (payload < 0 || payload > content.capacity() - offset - BATCH_HEADER_BYTES
                || content.getLong(offset + 8) != sequence || content.getInt(offset + 16) <= 0) {
            return -1;
        }
        return content.getInt(offset + 20) == batchCrc(content.array(), offset, payload)
                ? BATCH_HEADER_BYTES + payload
                : -1;
    }

    private static int batchCrc(byte[] bytes, int offset, int payload) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, offset + 4, 16);
        crc.update(bytes, offset + BATCH_HEADER_BYTES, payload);
        return (int) crc.getValue();
    }

    private static int crc(byte[] bytes, int offset, int length) {
        CRC32C crc = new CRC32C();
        crc.update(bytes, offset, length);
        return (int) crc.getValue();
    }

    static ByteBuffer batch(long firstSequence, List<byte[]> records) {
        int payload = 0;
        for (byte[] record : records) {
            payload = Math.addExact(payload, record.length);
        }
        ByteBuffer buffer = ByteBuffer.allocate(BATCH_HEADER_BYTES + payload);
        buffer.putInt(BATCH_MAGIC).putInt(payload).putLong(firstSequence).putInt(records.size()).putInt(0);
        records.forEach(buffer::put);
        buffer.putInt(20, batchCrc(buffer.array(), 0, payload));
        return buffer.flip();
    }

    static void writeFully(FileChannel channel, ByteBuffer buffer, long position) throws IOException {
        long at = position;
        while (buffer.hasRemaining()) {
            at += channel.write(buffer, at);
        }
    }

    /** Notes a batch of so many entries that is now on disk; called by one thread. */
    void committed(long offset, int count, int length) {
        if (offset - indexed >= INDEX_STEP || offsets.isEmpty()) {
            synchronized (offsets) {
                offsets.put(last + 1, offset);
            }
            indexed = offset;
        }
        last += count;
        end = offset + length;
    }

    long end() {
        return end;
    }

    long last() {
        return last;
    }

    /**
     * Entries after a sequence, up to about {@code maxBytes} of them and at least one if there is any.
     *
     * @throws IOException if the file has gone or is damaged there
     */
    List<Entry> read(long after, int maxBytes) throws IOException {
        long limit = end;
        long offset;
        synchronized (offsets) {
            Map.Entry<Long, Long> place = offsets.floorEntry(after + 1);
            if (place == null) {
                return List.of();
            }
            offset = place.getValue();
        }
        List<Entry> entries = new ArrayList<>();
        int bytes = 0;
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer header = ByteBuffer.allocate(BATCH_HEADER_BYTES);
            while (offset < limit && bytes < maxBytes) {
                readFully(channel, header.clear(), offset);
                int payload = header.getInt(4);
                long sequence = header.getLong(8);
                int count = header.getInt(16);
                long next = offset + BATCH_HEADER_BYTES + payload;
                if (header.getInt(0) != BATCH_MAGIC || payload < 0 || next > limit) {
                    throw new CorruptException(file.getFileName() + " is damaged at byte " + offset);
                }
                if (sequence + count > after + 1) {
                    ByteBuffer batch = ByteBuffer.allocate(BATCH_HEADER_BYTES + payload);
                    readFully(channel, batch, offset);
                    if (batch.getInt(20) != batchCrc(batch.array(), 0, payload)) {
                        throw new CorruptException(file.getFileName() + " is damaged at byte " + offset);
                    }
                    batch.position(BATCH_HEADER_BYTES);
                    for (int index = 0; index < count; index++) {
                        Entry entry = Entry.decode(sequence + index, batch);
                        if (entry.sequence() > after) {
                            entries.add(entry);
                            bytes += entry.size();
                        }
                    }
                }
                offset = next;
            }
        }
        return entries;
    }

    private static void readFully(FileChannel channel, ByteBuffer buffer, long position) throws IOException {
        long at = position;
        while (buffer.hasRemaining()) {
            int count = channel.read(buffer, at);
            if (count < 0) {
                throw new IOException("unexpected end of file");
            }
            at += count;
        }
        buffer.flip();
    }
}
