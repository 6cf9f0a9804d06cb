package flownexus.leshan.packages;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import flownexus.leshan.packages.PackageStore.RefusedException;
import flownexus.leshan.packages.PackageStore.RefusedException.Reason;
import flownexus.leshan.packages.PackageStore.Upload;

class PackageStoreTest {

    private static final String HASH = "a".repeat(64);

    @TempDir
    Path folder;

    private long files() throws Exception {
        try (Stream<Path> listed = Files.list(folder)) {
            return listed.count();
        }
    }

    @Test
    void aDiskThatFillsUpRefusesAndIsLeftAsItWas() throws Exception {
        AtomicLong usable = new AtomicLong(40L << 20);
        PackageStore store = new PackageStore(folder, 64L << 20, usable::get);
        RefusedException atOnce = assertThrows(RefusedException.class, () -> store.begin(HASH, 9L << 20));
        assertEquals(Reason.NO_ROOM, atOnce.reason());
        assertEquals(0, files());

        Upload upload = store.begin(HASH, -1);
        byte[] piece = new byte[1 << 20];
        upload.write(ByteBuffer.wrap(piece));
        usable.set(10);
        RefusedException later = assertThrows(RefusedException.class, () -> {
            for (int written = 0; written < 10; written++) {
                upload.write(ByteBuffer.wrap(piece));
            }
        });
        assertEquals(Reason.NO_ROOM, later.reason());
        upload.abort();
        assertEquals(0, files());
        assertNull(store.find(HASH));
    }

    @Test
    void twoMayBringTheSamePackage() throws Exception {
        PackageStore store = new PackageStore(folder, 1 << 20, () -> Long.MAX_VALUE);
        byte[] octets = { 1, 2, 3, 4, 5 };
        String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(octets));
        Upload one = store.begin(hash, 5);
        Upload two = store.begin(hash, 5);
        one.write(ByteBuffer.wrap(octets));
        two.write(ByteBuffer.wrap(octets));
        assertEquals(true, one.finish());
        assertEquals(false, two.finish());
        assertEquals(1, files());
        assertArrayEquals(new byte[] { 3, 4 }, store.read(hash, 2, 2));
        assertEquals(true, store.delete(hash));
        assertThrows(NoSuchFileException.class, () -> store.read(hash, 2, 2));
    }

    @Test
    void oneThatIsBroughtAgainWhileItIsRemovedIsThereOrNot() throws Exception {
        PackageStore store = new PackageStore(folder, 1 << 20, () -> Long.MAX_VALUE);
        byte[] octets = { 1, 2, 3, 4, 5 };
        String hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(octets));
        for (int round = 0; round < 300; round++) {
            Upload again = store.begin(hash, 5);
            again.write(ByteBuffer.wrap(octets));
            CompletableFuture<Boolean> removed = CompletableFuture.supplyAsync(() -> {
                try {
                    return store.delete(hash);
                } catch (IOException e) {
                    throw new UncheckedIOException(e);
                }
            });
            again.finish();
            removed.join();
            assertEquals(Files.exists(folder.resolve(hash)), store.find(hash) != null, "round " + round);
        }
    }
}
