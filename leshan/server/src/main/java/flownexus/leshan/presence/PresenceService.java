package flownexus.leshan.presence;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;

import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.core.type.TypeReference;

import flownexus.leshan.FileStore;
import flownexus.leshan.json.Json;

/**
 * Which devices with queue mode are awake. A device is awake from anything heard of it until its window, a number of seconds
 * of its own or the default, has passed in silence.
 */
public final class PresenceService {

    private static final TypeReference<TreeMap<String, Integer>> WINDOWS = new TypeReference<>() {
    };

    /** Told of a change: the endpoint, and whether the device is awake now. Must be short and must not block. */
    public interface Listener extends BiConsumer<String, Boolean> {
    }

    private final class Device {

        final String endpoint;
        final String registrationId;
        volatile long heardNanos = System.nanoTime();
        private boolean awake = true;
        private ScheduledFuture<?> check;

        Device(String endpoint, String registrationId) {
            this.endpoint = endpoint;
            this.registrationId = registrationId;
        }

        /** Re-arms. What changes is told under the lock: told later, the two words could change places. */
        synchronized void heard() {
            heardNanos = System.nanoTime();
            if (!awake) {
                awake = true;
                schedule(windowNanos(endpoint));
                listener.accept(endpoint, true);
            }
        }

        /** Looks whether the window has passed; it may have been re-armed or changed since the check was planned. */
        synchronized void checkWindow() {
            long left = heardNanos + windowNanos(endpoint) - System.nanoTime();
            if (!awake || check == null) {
                return;
            }
            if (left > 0) {
                schedule(left);
            } else {
                awake = false;
                listener.accept(endpoint, false);
            }
        }

        synchronized void schedule(long nanos) {
            if (check != null) {
                check.cancel(false);
            }
            check = timer.schedule(this::checkWindow, nanos, TimeUnit.NANOSECONDS);
        }

        synchronized void cancel() {
            if (check != null) {
                check.cancel(false);
                check = null;
            }
        }

        synchronized boolean awake() {
            return awake;
        }
    }

    private final Path file;
    private final int defaultSeconds;
    private final ScheduledExecutorService timer;
    private final Listener listener;
    private final Map<LwM2mIdentity, Device> byIdentity = new ConcurrentHashMap<>();
    private final Map<String, Integer> windows = new ConcurrentHashMap<>();

    /**
     * Loads the windows that were set.
     *
     * @param file where they are kept
     * @param timer runs the checks
     * @throws IOException if the file is there and cannot be understood
     */
    public PresenceService(Path file, int defaultSeconds, ScheduledExecutorService timer, Listener listener)
            throws IOException {
        this.file = file;
        this.defaultSeconds = defaultSeconds;
        this.timer = timer;
        this.listener = listener;
        if (Files.exists(file)) {
            windows.putAll(Json.MAPPER.readValue(file.toFile(), WINDOWS));
        }
    }

    /** Begins to follow a registration, or ends it if that is without queue mode. */
    public void registered(Registration registration) {
        LwM2mIdentity identity = registration.getClientTransportData().getIdentity();
        if (!registration.usesQueueMode()) {
            Device before = byIdentity.remove(identity);
            if (before != null) {
                before.cancel();
            }
            return;
        }
        Device device = new Device(registration.getEndpoint(), registration.getId());
        Device before = byIdentity.put(identity, device);
        if (before != null) {
            before.cancel();
        }
        device.schedule(windowNanos(device.endpoint));
    }

    /** Follows an update, which may have changed the binding or (plain CoAP) the address that is the identity. */
    public void updated(Registration before, Registration after) {
        LwM2mIdentity identity = after.getClientTransportData().getIdentity();
        boolean same = before.getClientTransportData().getIdentity().equals(identity)
                && before.usesQueueMode() == after.usesQueueMode();
        if (same) {
            heard(identity);
        } else {
            unregistered(before);
            registered(after);
        }
    }

    public void unregistered(Registration registration) {
        byIdentity.computeIfPresent(registration.getClientTransportData().getIdentity(), (identity, device) -> {
            if (!device.registrationId.equals(registration.getId())) {
                return device;
            }
            device.cancel();
            return null;
        });
    }

    /** Notes that something came from a peer. Cheap: it is called for every message. */
    public void heard(LwM2mIdentity identity) {
        Device device = byIdentity.get(identity);
        if (device != null) {
            device.heard();
        }
    }

    public boolean isSleeping(Registration registration) {
        if (!registration.usesQueueMode()) {
            return false;
        }
        Device device = byIdentity.get(registration.getClientTransportData().getIdentity());
        return device != null && !device.awake();
    }

    /**
     * Sets a device's window, whether it is registered or not, and keeps it.
     *
     * @throws IllegalArgumentException if it is not between 1 s and a day
     */
    public synchronized void setWindow(String endpoint, int seconds) throws IOException {
        if (seconds < 1 || seconds > TimeUnit.DAYS.toSeconds(1)) {
            throw new IllegalArgumentException("seconds must be between 1 and 86400");
        }
        Map<String, Integer> changed = new TreeMap<>(windows);
        Integer before = changed.put(endpoint, seconds);
        if (before == null || before != seconds) {
            FileStore.replace(file, Json.MAPPER.writeValueAsBytes(changed));
            windows.put(endpoint, seconds);
        }
        byIdentity.values().stream().filter(device -> device.endpoint.equals(endpoint) && device.awake()).forEach(
                device -> device.schedule(device.heardNanos + windowNanos(endpoint) - System.nanoTime()));
    }

    private long windowNanos(String endpoint) {
        return TimeUnit.SECONDS.toNanos(windows.getOrDefault(endpoint, defaultSeconds));
    }
}
