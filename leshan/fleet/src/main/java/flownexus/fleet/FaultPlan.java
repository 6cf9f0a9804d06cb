package flownexus.fleet;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.List;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The faults of the command line, and those of a file that may change while the fleet runs: a line is a fault, {@code #}
 * begins a comment, and a file that is not there holds none.
 */
final class FaultPlan {

    private static final Logger LOG = LoggerFactory.getLogger(FaultPlan.class);

    private final List<Fault> fixed;
    private final Path file;
    private FileTime modified;
    private long size;
    private List<Fault> all;

    /** @param file may be null @throws IllegalArgumentException with one line that names the wrong fault */
    FaultPlan(List<String> faults, Path file) {
        List<Fault> parsed = new ArrayList<>();
        for (String fault : faults) {
            try {
                parsed.add(Fault.parse(fault));
            } catch (IllegalArgumentException e) {
                throw new IllegalArgumentException("--fault: " + e.getMessage(), e);
            }
        }
        fixed = List.copyOf(parsed);
        this.file = file;
        all = fixed;
        if (file != null) {
            try {
                load();
            } catch (IOException | IllegalArgumentException e) {
                throw new IllegalArgumentException("--fault-file: " + file + ": " + e.getMessage(), e);
            }
        }
    }

    /** In the order of their precedence. A fault that stays in the file may be another object after a change of it. */
    synchronized List<Fault> current() {
        if (file != null) {
            try {
                load();
            } catch (IOException | IllegalArgumentException e) {
                LOG.warn("{}: {}; the faults stay as they were", file, e.getMessage());
            }
        }
        return all;
    }

    private void load() throws IOException {
        BasicFileAttributes attributes;
        try {
            attributes = Files.readAttributes(file, BasicFileAttributes.class);
        } catch (NoSuchFileException e) {
            modified = null;
            all = fixed;
            return;
        }
        if (attributes.lastModifiedTime().equals(modified) && attributes.size() == size) {
            return;
        }
        modified = attributes.lastModifiedTime();
        size = attributes.size();
        List<Fault> read = new ArrayList<>(fixed);
        for (String line : Files.readAllLines(file)) {
            String text = line.strip();
            if (!text.isEmpty() && !text.startsWith("#")) {
                read.add(Fault.parse(text));
            }
        }
        all = List.copyOf(read);
    }
}
