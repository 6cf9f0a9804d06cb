package flownexus.leshan.packages;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.regex.Pattern;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Firmware packages: private files named by the SHA-256 of what is in them. None is ever in memory as a whole, neither when
 * it comes nor when it is sent.
 */
public final class PackageStore {

    private static final Logger LOG = LoggerFactory.getLogger(PackageStore.class);

    private static final Pattern HASH = Pattern.compile("[0-9a-f]{64}");
    private static final String UNFINISHED = ".part";
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE = PosixFilePermissions
            .asFileAttribute(PosixFilePermissions.fromString("rw-------"));
    /** Stays free on the disk, for the journal. */
    private static final long RESERVED_BYTES = 32L << 20;
    /** After so many bytes of an upload it is looked again whether there is room. */
    private static final long CHECKED_BYTES = 4L << 20;

    /** @param size in bytes */
    public record Stored(String sha256, long size) {
    }

    /** How much room there is. */
    @FunctionalInterface
    interface Disk {

        /** @return bytes that can be written now */
        long usable() throws IOException;
    }

    /** Why a package is not taken; the message says it in one line. */
    public static final class RefusedException extends IOException {

        private static final long serialVersionUID = 1L;

        /** What is wrong. */
        public enum Reason {
            EMPTY, WRONG_HASH, TOO_LARGE, NO_ROOM
        }

        private final Reason reason;

        private RefusedException(Reason reason, String message, Throwable cause) {
            super(message, cause);
            this.reason = reason;
        }

        public Reason reason() {
            return reason;
        }
    }

    private final Path folder;
    private final long limit;
    private final Disk disk;
    private final Map<String, Stored> stored = new ConcurrentSkipListMap<>();

    /**
     * Finds what is there, and removes what was not finished.
     *
     * @param folder created (0700) if it is not there
     * @param limit of one package in bytes
     * @throws IOException if the folder cannot be used
     */
    public PackageStore(Path folder, long limit) throws IOException {
        this(folder, limit, () -> Files.getFileStore(folder).getUsableSpace());
    }

    PackageStore(Path folder, long limit, Disk disk) throws IOException {
        this.folder = folder;
        this.limit = limit;
        this.disk = disk;
        if (!Files.isDirectory(folder)) {
            Files.createDirectory(folder,
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                String name = file.getFileName().toString();
                if (name.endsWith(UNFINISHED)) {
                    Files.delete(file);
                } else if (isHash(name)) {
                    stored.put(name, new Stored(name, Files.size(file)));
                }
            }
        }
    }

    /** Whether that is a SHA-256 as packages are named by: 64 digits, lower case. */
    public static boolean isHash(String text) {
        return text != null && HASH.matcher(text).matches();
    }

    /** All of them, by hash. */
    public Collection<Stored> all() {
        return stored.values();
    }

    /** The package with that hash, or null. */
    public Stored find(String sha256) {
        return stored.get(sha256);
    }

    /** The most bytes that a package may have. */
    public long limit() {
        return limit;
    }

    /**
     * Reads a part of a package.
     *
     * @param length in bytes; all of them must be there
     * @throws NoSuchFileException if there is no such package (any more)
     */
    public byte[] read(String sha256, long offset, int length) throws IOException {
        if (!stored.containsKey(sha256)) {
            throw new NoSuchFileException(sha256);
        }
        ByteBuffer part = ByteBuffer.allocate(length);
        try (FileChannel channel = FileChannel.open(folder.resolve(sha256), StandardOpenOption.READ)) {
            while (part.hasRemaining()) {
                if (channel.read(part, offset + part.position()) < 0) {
                    throw new IOException("package " + sha256 + " is cut off at " + (offset + part.position()));
                }
            }
        }
        return part.array();
    }

    /**
     * Removes a package; a transfer of it that is under way fails.
     *
     * @return false if there is none
     */
    boolean delete(String sha256) throws IOException {
        // the same package may just be brought again
        synchronized (stored) {
            if (stored.remove(sha256) == null) {
                return false;
            }
            Files.deleteIfExists(folder.resolve(sha256));
        }
        LOG.info("package {} removed", sha256);
        return true;
    }

    /**
     * Begins to take a package.
     *
     * @param expected its size in bytes, or -1 if that is not known
     * @throws RefusedException if it is too large, or there is no room for it
     */
    public Upload begin(String sha256, long expected) throws IOException {
        if (expected > limit) {
            throw tooLarge();
        }
        requireRoom(Math.max(0, expected));
        return new Upload(sha256);
    }

    private RefusedException tooLarge() {
        return new RefusedException(RefusedException.Reason.TOO_LARGE,
                "a package may have at most " + (limit >> 20) + " MiB (--package-limit)", null);
    }

    private void requireRoom(long bytes) throws IOException {
        if (disk.usable() - RESERVED_BYTES < bytes) {
            throw noRoom(null);
        }
    }

    private static RefusedException noRoom(IOException cause) {
        return new RefusedException(RefusedException.Reason.NO_ROOM,
                "there is no room for the package on the disk of --data: remove packages, or free some space", cause);
    }

    /** A package that is coming in. Used by one thread at a time; must be finished or aborted. */
    public final class Upload {

        private final String sha256;
        private final Path file;
        private final FileChannel channel;
        private final MessageDigest digest;
        private long size;
        private long nextCheck = CHECKED_BYTES;

        private Upload(String sha256) throws IOException {
            this.sha256 = sha256;
            try {
                this.digest = MessageDigest.getInstance("SHA-256");
            } catch (NoSuchAlgorithmException e) {
                throw new IllegalStateException(e);
            }
            this.file = Files.createTempFile(folder, sha256.substring(0, 8) + "-", UNFINISHED, PRIVATE);
            this.channel = FileChannel.open(file, StandardOpenOption.WRITE);
        }

        /**
         * Takes the next octets.
         *
         * @throws RefusedException if these are too many, or there is no room for them
         */
        public void write(ByteBuffer octets) throws IOException {
            size += octets.remaining();
            if (size > limit) {
                throw tooLarge();
            }
            if (size > nextCheck) {
                nextCheck = size + CHECKED_BYTES;
                requireRoom(octets.remaining());
            }
            digest.update(octets.duplicate());
            try {
                while (octets.hasRemaining()) {
                    channel.write(octets);
                }
            } catch (IOException e) {
                throw isFull(e) ? noRoom(e) : e;
            }
        }

        /**
         * Keeps it, when it is on disk.
         *
         * @return false if the same package was there already
         * @throws RefusedException if it is not what it was said to be
         */
        public boolean finish() throws IOException {
            try (channel) {
                if (size == 0) {
                    throw new RefusedException(RefusedException.Reason.EMPTY, "the package is empty: it has 0 bytes", null);
                }
                String actual = HexFormat.of().formatHex(digest.digest());
                if (!actual.equals(sha256)) {
                    throw new RefusedException(RefusedException.Reason.WRONG_HASH,
                            "the body's SHA-256 is " + actual + ", not " + sha256, null);
                }
                channel.force(true);
                boolean made;
                synchronized (stored) {
                    Files.move(file, folder.resolve(sha256), StandardCopyOption.ATOMIC_MOVE,
                            StandardCopyOption.REPLACE_EXISTING);
                    made = stored.put(sha256, new Stored(sha256, size)) == null;
                }
                try (FileChannel directory = FileChannel.open(folder, StandardOpenOption.READ)) {
                    directory.force(true);
                }
                LOG.info("package {} of {} bytes stored", sha256, size);
                return made;
            } catch (IOException e) {
                Files.deleteIfExists(file);
                throw isFull(e) ? noRoom(e) : e;
            }
        }

        /** Drops what came. */
        public void abort() {
            try (channel) {
                Files.deleteIfExists(file);
            } catch (IOException e) {
                LOG.warn("{} cannot be removed: {}", file.getFileName(), e.toString());
            }
        }

        /** The words of the operating system: Java has no type for it. */
        private static boolean isFull(IOException error) {
            String message = String.valueOf(error.getMessage());
            return message.contains("No space left") || message.contains("quota exceeded");
        }
    }
}
