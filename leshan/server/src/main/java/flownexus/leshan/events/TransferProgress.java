package flownexus.leshan.events;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Tells how far the transfer of a package to a device is: PROGRESS events, live, at most two a second for a device, and in
 * any case how far it came in the end.
 */
public final class TransferProgress {

    private static final long INTERVAL_NANOS = TimeUnit.MILLISECONDS.toNanos(500);

    /**
     * How far a transfer is.
     *
     * @param requestId of the request that it belongs to, or null
     * @param path what is written or fetched
     * @param sent bytes that the device has, as far as is known
     * @param total bytes of the package
     * @param block bytes of a block
     */
    public record Progress(String endpoint, String requestId, String path, String sha256, long sent, long total,
            int block) {
    }

    /** What is to be told of a device, not before its time. */
    private static final class Waiting {
        Progress newest;
        /** Whether the end of a transfer was told since the last interval began. */
        boolean ended;
    }

    private final EventLog events;
    private final ScheduledExecutorService timer;
    private final Map<String, Waiting> devices = new HashMap<>();

    public TransferProgress(EventLog events, ScheduledExecutorService timer) {
        this.events = events;
        this.timer = timer;
    }

    /**
     * Notes how far a transfer is; from any thread, never blocks.
     *
     * @param last whether nothing more will come: told at once then
     */
    public synchronized void report(Progress progress, boolean last) {
        Waiting device = devices.get(progress.endpoint);
        if (device == null) {
            device = new Waiting();
            devices.put(progress.endpoint, device);
            timer.schedule(() -> due(progress.endpoint), INTERVAL_NANOS, TimeUnit.NANOSECONDS);
        } else if (!last || device.ended) {
            // nor does a device that fetches the last block again and again make more of them
            device.newest = progress;
            return;
        }
        device.ended = last;
        device.newest = null;
        tell(progress);
    }

    /** Tells at once what was held back of a device whose transfer has ended. */
    public synchronized void end(String endpoint) {
        Waiting device = devices.get(endpoint);
        if (device != null && device.newest != null && !device.ended) {
            tell(device.newest);
            device.newest = null;
            device.ended = true;
        }
    }

    /** Whether nothing was told within the interval, and nothing is held back. */
    synchronized boolean isEmpty() {
        return devices.isEmpty();
    }

    private synchronized void due(String endpoint) {
        Waiting device = devices.get(endpoint);
        if (device.newest == null) {
            devices.remove(endpoint);
            return;
        }
        tell(device.newest);
        device.newest = null;
        device.ended = false;
        timer.schedule(() -> due(endpoint), INTERVAL_NANOS, TimeUnit.NANOSECONDS);
    }

    private void tell(Progress progress) {
        events.publishLive("PROGRESS", progress.endpoint, json -> {
            json.writeStartObject();
            json.writeStringField("ep", progress.endpoint);
            if (progress.requestId != null) {
                json.writeStringField("requestId", progress.requestId);
            }
            json.writeStringField("path", progress.path);
            json.writeStringField("sha256", progress.sha256);
            json.writeNumberField("sent", progress.sent);
            json.writeNumberField("total", progress.total);
            json.writeNumberField("block", progress.block);
            json.writeNumberField("time", System.currentTimeMillis());
            json.writeEndObject();
        });
    }
}
