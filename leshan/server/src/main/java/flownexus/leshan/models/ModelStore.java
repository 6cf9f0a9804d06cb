package flownexus.leshan.models;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.model.ObjectModel;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.FileStore;
import flownexus.models.ObjectDefinition;
import flownexus.models.ObjectModels;

/**
 * Object models that are put and removed while the server runs: one private file each, and from the same moment part of the
 * models that messages are understood by, before all others.
 */
public final class ModelStore {

    private static final Logger LOG = LoggerFactory.getLogger(ModelStore.class);

    /** @param sha256 of the file, in lower-case hexadecimal */
    public record Uploaded(ObjectModel model, String sha256) {
    }

    private record Key(int id, Version version) implements Comparable<Key> {

        private static final Comparator<Key> ORDER = Comparator.comparingInt(Key::id).thenComparing(Key::version);

        @Override
        public int compareTo(Key other) {
            return ORDER.compare(this, other);
        }
    }

    private final Path folder;
    private final ObjectModels models;
    private volatile Map<Key, Uploaded> uploaded;

    /**
     * Loads what was put before.
     *
     * @param folder created if it is not there
     * @param models where the uploaded ones are to be used
     * @throws IOException if a file cannot be read or understood; the message names it
     */
    public ModelStore(Path folder, ObjectModels models) throws IOException {
        this.folder = folder;
        this.models = models;
        if (!Files.isDirectory(folder)) {
            Files.createDirectory(folder,
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        }
        Map<Key, Uploaded> loaded = new TreeMap<>();
        List<Path> files;
        try (Stream<Path> listed = Files.list(folder)) {
            files = listed.filter(file -> file.toString().endsWith(".xml")).toList();
        }
        for (Path file : files) {
            byte[] ddf = Files.readAllBytes(file);
            try {
                ObjectModel model = ObjectDefinition.parse(ddf);
                loaded.put(new Key(model.id, new Version(model.version)), new Uploaded(model, sha256(ddf)));
            } catch (IllegalArgumentException e) {
                throw new IOException(file.getFileName() + ": " + e.getMessage(), e);
            }
        }
        use(loaded);
    }

    /** All that were put, by object and version. */
    public Collection<Uploaded> all() {
        return uploaded.values();
    }

    /**
     * Keeps a model and uses it from now on.
     *
     * @param ddf an XML file with one object
     * @throws IllegalArgumentException with one line that says what is wrong with it
     * @throws IOException if it cannot be written; then nothing has changed
     */
    public synchronized Uploaded put(int id, String version, byte[] ddf) throws IOException {
        ObjectModel model = ObjectDefinition.parse(ddf);
        Key key = new Key(id, new Version(version));
        if (model.id != id || !new Version(model.version).equals(key.version)) {
            throw new IllegalArgumentException("the file is for object %d version %s, the address for %d version %s"
                    .formatted(model.id, model.version, id, version));
        }
        Uploaded added = new Uploaded(model, sha256(ddf));
        FileStore.replace(file(key), ddf);
        Map<Key, Uploaded> next = new TreeMap<>(uploaded);
        next.put(key, added);
        use(next);
        LOG.info("object model {}/{} '{}' put", id, key.version, model.name);
        return added;
    }

    /**
     * Removes a model; a built-in one of the same object and version is used again.
     *
     * @return false if there was none
     */
    public synchronized boolean delete(int id, String version) throws IOException {
        Key key = new Key(id, new Version(version));
        if (!uploaded.containsKey(key)) {
            return false;
        }
        Files.deleteIfExists(file(key));
        Map<Key, Uploaded> next = new TreeMap<>(uploaded);
        next.remove(key);
        use(next);
        LOG.info("object model {}/{} removed", id, key.version);
        return true;
    }

    private void use(Map<Key, Uploaded> next) {
        uploaded = next;
        models.overlay(next.values().stream().map(Uploaded::model).toList());
    }

    private Path file(Key key) {
        return folder.resolve(key.id + "-" + key.version + ".xml");
    }

    private static String sha256(byte[] content) {
        try {
            return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(content));
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException(e);
        }
    }
}
