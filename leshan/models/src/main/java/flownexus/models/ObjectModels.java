package flownexus.models;

import java.io.IOException;
import java.io.InputStream;
import java.net.URISyntaxException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.stream.Stream;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.model.InvalidDDFFileException;
import org.eclipse.leshan.core.model.ObjectLoader;
import org.eclipse.leshan.core.model.ObjectModel;

/**
 * The object models known to a process: those of Leshan's core, the OMA registry's (on the class path as
 * {@code /models/*.xml}), ours ({@code /objects/*.xml}) and a user's own DDF files. The later source wins where two describe the same object and
 * version; before all of them come those that are laid over while the process runs.
 * <p>
 * Safe for use by several threads.
 */
public final class ObjectModels {

    /** Immutable: replaced as a whole. */
    private static final class Index {

        private final Map<Integer, NavigableMap<Version, ObjectModel>> byId = new HashMap<>();
        private final List<ObjectModel> all;

        Index(Collection<ObjectModel> models, Collection<ObjectModel> above) {
            Stream.concat(models.stream(), above.stream()).forEach(model -> byId
                    .computeIfAbsent(model.id, id -> new TreeMap<>()).put(new Version(model.version), model));
            all = byId.values().stream().flatMap(versions -> versions.values().stream())
                    .sorted(Comparator.comparingInt((ObjectModel model) -> model.id)
                            .thenComparing(model -> new Version(model.version)))
                    .toList();
        }
    }

    private final List<ObjectModel> loaded;
    private volatile Index index;

    private ObjectModels(Collection<ObjectModel> models) {
        loaded = List.copyOf(models);
        index = new Index(loaded, List.of());
    }

    /** Lays models over the loaded ones, in place of those that were laid over before. */
    public void overlay(Collection<ObjectModel> models) {
        index = new Index(loaded, models);
    }

    /**
     * Loads the built-in models and those of the given folders.
     *
     * @param userFolders folders with DDF files ({@code *.xml}); not searched recursively
     * @throws IllegalArgumentException with a message of one line when a folder or a file in it is of no use
     */
    public static ObjectModels load(Collection<Path> userFolders) {
        List<ObjectModel> models = new ArrayList<>(ObjectLoader.loadAllDefault());
        models.addAll(bundled("models"));
        models.addAll(bundled("objects"));
        for (Path folder : userFolders) {
            if (!Files.isDirectory(folder)) {
                throw new IllegalArgumentException("object models: " + folder + " is not a folder");
            }
            models.addAll(parseFolder(folder));
        }
        return new ObjectModels(models);
    }

    /** Every model, one per object and version, ordered by both. */
    public List<ObjectModel> all() {
        return index.all;
    }

    /**
     * The model of an object in the version that is closest to the one asked for.
     *
     * @param id the object's id
     * @param version the version a client announced; null stands for 1.0, as in a registration
     * @return the exact version if there is one, else the closest within the same major version (the newer of two
     *         equally close), else the closest major version; null if the object is unknown
     */
    public ObjectModel nearest(int id, Version version) {
        NavigableMap<Version, ObjectModel> versions = index.byId.get(id);
        if (versions == null) {
            return null;
        }
        Version wanted = version == null ? Version.getDefault() : version;
        ObjectModel exact = versions.get(wanted);
        if (exact != null) {
            return exact;
        }
        Comparator<Version> closeness = Comparator
                .comparingInt((Version candidate) -> Math.abs(major(candidate) - major(wanted)))
                .thenComparingInt(candidate -> Math.abs(minor(candidate) - minor(wanted)))
                .thenComparing(Comparator.reverseOrder());
        return versions.keySet().stream().min(closeness).map(versions::get).orElse(null);
    }

    /**
     * As {@link #nearest(int, Version)}.
     *
     * @param version as "major.minor"; one that does not parse counts as 1.0, because a client's mistake in its version
     *        must not cost its values
     */
    public ObjectModel nearest(int id, String version) {
        boolean usable = version != null && Version.validate(version) == null;
        return nearest(id, usable ? new Version(version) : null);
    }

    /** The newest version of an object that there is a model of; null if there is none. */
    public Version newestVersion(int id) {
        NavigableMap<Version, ObjectModel> versions = index.byId.get(id);
        return versions == null ? null : versions.lastKey();
    }

    private static int major(Version version) {
        String text = version.toString();
        return Integer.parseInt(text.substring(0, text.indexOf('.')));
    }

    private static int minor(Version version) {
        String text = version.toString();
        return Integer.parseInt(text.substring(text.indexOf('.') + 1));
    }

    /** Files that lie beside this class, in a jar or (during a build) in a folder. */
    private static List<ObjectModel> bundled(String folder) {
        try {
            CodeSource source = ObjectModels.class.getProtectionDomain().getCodeSource();
            Path location = Path.of(source.getLocation().toURI());
            if (Files.isDirectory(location)) {
                return parseFolder(location.resolve(folder));
            }
            try (FileSystem jar = FileSystems.newFileSystem(location)) {
                return parseFolder(jar.getPath("/" + folder));
            }
        } catch (IOException | URISyntaxException e) {
            throw new IllegalStateException("object models: the built-in ones cannot be read: " + e.getMessage(), e);
        }
    }

    private static List<ObjectModel> parseFolder(Path folder) {
        List<Path> files;
        try (Stream<Path> listed = Files.list(folder)) {
            files = listed.filter(file -> file.toString().toLowerCase(Locale.ROOT).endsWith(".xml")).sorted().toList();
        } catch (IOException e) {
            throw new IllegalArgumentException("object models: " + folder + " cannot be read: " + reason(e), e);
        }
        List<ObjectModel> models = new ArrayList<>();
        for (Path file : files) {
            try (InputStream input = Files.newInputStream(file)) {
                for (ObjectModel model : ObjectLoader.loadDdfFile(input, file.toString())) {
                    checked(model);
                    models.add(model);
                }
            } catch (IOException | InvalidDDFFileException | RuntimeException e) {
                throw new IllegalArgumentException("object models: " + file + " is not a DDF file: " + reason(e), e);
            }
        }
        return models;
    }

    private static void checked(ObjectModel model) {
        String error = model.id == null ? "an object has no id" : Version.validate(model.version);
        if (error != null) {
            throw new IllegalArgumentException(error);
        }
    }

    /** The innermost cause in one line: the outer ones only repeat the file's name. */
    private static String reason(Throwable thrown) {
        Throwable cause = thrown;
        while (cause.getCause() != null) {
            cause = cause.getCause();
        }
        String message = cause.getMessage() == null ? cause.getClass().getSimpleName() : cause.getMessage();
        return message.lines().findFirst().orElse(message);
    }
}
