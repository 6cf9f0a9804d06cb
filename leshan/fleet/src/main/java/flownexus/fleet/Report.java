package flownexus.fleet;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;

/**
 * The fleet's figures as a file of JSON lines, one a device. The file is replaced as a whole: who reads it always sees
 * one moment.
 */
final class Report {

    private static final ObjectMapper JSON = new ObjectMapper();

    private final Path file;
    private final Path draft;

    Report(Path file) {
        this.file = file;
        this.draft = file.resolveSibling(file.getFileName() + ".new");
    }

    synchronized void write(List<Device> devices) throws IOException {
        StringBuilder lines = new StringBuilder();
        for (Device device : devices) {
            lines.append(line(device)).append('\n');
        }
        Files.writeString(draft, lines);
        Files.move(draft, file, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    }

    /** {@code acknowledged} is read before {@code sent}, so that it is never the larger. */
    private static String line(Device device) {
        Counters counters = device.counters();
        long acknowledged = counters.acknowledged.get();
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("endpoint", device.endpoint());
        line.put("registered", device.isRegistered());
        line.put("asleep", device.isAsleep());
        line.put("registrations", counters.registrations.get());
        line.put("refusals", counters.refusals.get());
        line.put("refusal", device.refusal());
        line.put("losses", counters.losses.get());
        line.put("sent", counters.sent.get());
        line.put("acknowledged", acknowledged);
        line.put("unacknowledged", counters.unacknowledged.get());
        line.put("produced", counters.produced.get());
        line.put("discarded", counters.discarded.get());
        line.put("sends", counters.sends.get());
        line.put("wakes", counters.wakes.get());
        line.put("executes", counters.executes.get());
        line.put("writes", counters.writes.get());
        line.put("creates", counters.creates.get());
        line.put("deletes", counters.deletes.get());
        line.put("reboots", counters.reboots.get());
        line.put("factoryResets", counters.factoryResets.get());
        line.put("muted", device.isMuted());
        line.put("lifetime", device.lifetime());
        line.put("firmware", device.firmware());
        Map<String, Object> logs = device.logs();
        if (logs != null) {
            line.put("logs", logs);
        }
        line.put("paths", counters.operations.snapshot());
        try {
            return JSON.writeValueAsString(line);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a line of the report cannot be written", e);
        }
    }
}
