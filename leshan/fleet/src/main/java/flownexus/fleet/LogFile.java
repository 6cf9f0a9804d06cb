package flownexus.fleet;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Every line that the fleet's devices logged, as a file of JSON lines: one when the device keeps it, and the same with
 * {@code given_up} true if the device gives it up later. Who reads it meanwhile sees whole lines.
 */
final class LogFile implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(LogFile.class);
    private static final ObjectMapper JSON = new ObjectMapper();

    private static final int BUFFER = 64 * 1024;

    private final Path file;
    private final OutputStream out;
    private final ByteArrayOutputStream lines = new ByteArrayOutputStream();
    private boolean failed;

    LogFile(Path file) throws IOException {
        this.file = file;
        out = Files.newOutputStream(file);
    }

    /** What a device tells its ring's changes to. */
    LogRing.Listener of(String endpoint) {
        return new LogRing.Listener() {
            @Override
            public void kept(int boot, LogLine line) {
                write(endpoint, boot, line, false);
            }

            @Override
            public void givenUp(int boot, LogLine line) {
                write(endpoint, boot, line, true);
            }
        };
    }

    private synchronized void write(String endpoint, int boot, LogLine line, boolean givenUp) {
        Map<String, Object> entry = new LinkedHashMap<>();
        entry.put("endpoint", endpoint);
        entry.put("boot", Integer.toUnsignedLong(boot));
        entry.put("sequence", line.sequence());
        entry.put("uptime", line.uptime());
        entry.put("severity", line.severity().number());
        entry.put("module", line.moduleText());
        entry.put("text", line.lineText());
        entry.put("given_up", givenUp);
        try {
            lines.write(JSON.writeValueAsBytes(entry));
            lines.write('\n');
        } catch (IOException e) {
            complain(e);
        }
        if (lines.size() >= BUFFER) {
            flush();
        }
    }

    synchronized void flush() {
        try {
            lines.writeTo(out);
        } catch (IOException e) {
            complain(e);
        }
        lines.reset();
    }

    private void complain(IOException e) {
        if (!failed) {
            failed = true;
            LOG.warn("{}: lines are missing: {}", file, e.getMessage());
        }
    }

    @Override
    public synchronized void close() throws IOException {
        flush();
        out.close();
    }
}
