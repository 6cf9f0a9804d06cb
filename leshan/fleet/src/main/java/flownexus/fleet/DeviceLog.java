package flownexus.fleet;

import java.security.SecureRandom;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/**
 * The log of one device: what its software says, on the way through the ring to the server. A device without object 20
 * says nothing.
 */
final class DeviceLog {

    /** What the log needs of the device. */
    interface Carrier {
        /** Brings what waits to the server, if that is possible now. Called without locks held. */
        void flush();
    }

    /** So that the lines of a fault travel together. */
    private static final Duration AFTER_ERROR = Duration.ofMillis(100);
    private static final Duration STORM_TICK = Duration.ofMillis(50);
    /** A boot's id must differ from that of every earlier run of the fleet, whatever the seed. */
    private static final SecureRandom BOOT_IDS = new SecureRandom();
    private static final LogRing.Listener NOBODY = new LogRing.Listener() {
        @Override
        public void kept(int boot, LogLine line) {
            // lines are read by the server alone
        }

        @Override
        public void givenUp(int boot, LogLine line) {
            // it learns of it by the count
        }
    };

    private final LogSettings settings;
    private final ScheduledExecutorService timers;
    private final Counters counters;
    private final Carrier carrier;
    private final LogRing ring;
    private final LogVoice voice;
    private final int stormRate;

    private long flushAt = Long.MAX_VALUE;
    private Future<?> flushTimer;
    private Future<?> chatTimer;
    private Future<?> stormTimer;
    private boolean stopped;
    private double stormLines;

    /** @param file null unless lines are to be written */
    DeviceLog(String endpoint, LogSettings settings, RandomGenerator random, ScheduledExecutorService timers,
            LogFile file, Counters counters, LogVoice.Senses senses, Carrier carrier) {
        this.settings = settings;
        this.timers = timers;
        this.counters = counters;
        this.carrier = carrier;
        LogRing.Listener written = file == null ? NOBODY : file.of(endpoint);
        ring = new LogRing(settings.lines(), settings.memory(), settings.messageBytes(), settings.level(),
                () -> TimeUnit.NANOSECONDS.toMillis(System.nanoTime()), new LogRing.Listener() {
                    @Override
                    public void kept(int boot, LogLine line) {
                        counters.logLines.incrementAndGet();
                        written.kept(boot, line);
                    }

                    @Override
                    public void givenUp(int boot, LogLine line) {
                        counters.logGivenUp.incrementAndGet();
                        written.givenUp(boot, line);
                    }
                });
        voice = new LogVoice(this::add, senses, random);
        stormRate = settings.storms().getOrDefault(endpoint, 0);
    }

    LogRing ring() {
        return ring;
    }

    LogVoice voice() {
        return voice;
    }

    /** Power on: another boot begins. The first lines follow by {@link LogVoice#boot}. */
    void restart() {
        ring.restart(BOOT_IDS.nextInt());
    }

    /** The level as it was made. */
    void factorySettings() {
        ring.setLevel(settings.level());
    }

    /** Begins to say something now and then. */
    synchronized void start() {
        if (!settings.on()) {
            return;
        }
        scheduleChat();
        if (stormRate > 0) {
            stormTimer = timers.scheduleAtFixedRate(this::storm, STORM_TICK.toMillis(), STORM_TICK.toMillis(),
                    TimeUnit.MILLISECONDS);
        }
    }

    synchronized void stop() {
        stopped = true;
        for (Future<?> timer : new Future<?>[] { flushTimer, chatTimer, stormTimer }) {
            if (timer != null) {
                timer.cancel(false);
            }
        }
    }

    private void chat() {
        voice.chat();
        scheduleChat();
    }

    /** By chance, as things happen, but never very late. */
    private synchronized void scheduleChat() {
        double intervals = Math.min(5, -Math.log(1 - ThreadLocalRandom.current().nextDouble()));
        chatTimer = schedule(this::chat, (long) (intervals * settings.interval().toNanos()));
    }

    private void storm() {
        stormLines += stormRate * (STORM_TICK.toMillis() / 1000.0);
        for (; stormLines >= 1; stormLines--) {
            voice.rave();
        }
    }

    private void add(LogSeverity severity, String module, String text) {
        if (settings.on() && ring.append(severity, module, text)) {
            flushWithin(ring.isMessageFull() ? Duration.ZERO
                    : severity == LogSeverity.ERROR ? AFTER_ERROR : settings.delay());
        }
    }

    /** Sees to it that what waits goes out, at the latest after so long. */
    synchronized void flushWithin(Duration pause) {
        long at = System.nanoTime() + pause.toNanos();
        if (!settings.on() || flushAt != Long.MAX_VALUE && flushAt - at <= 0) {
            return;
        }
        if (flushTimer != null) {
            flushTimer.cancel(false);
        }
        flushAt = at;
        flushTimer = schedule(this::flush, pause.toNanos());
    }

    private void flush() {
        synchronized (this) {
            flushAt = Long.MAX_VALUE;
        }
        carrier.flush();
    }

    private Future<?> schedule(Runnable task, long nanos) {
        if (stopped) {
            return null;
        }
        try {
            return timers.schedule(task, nanos, TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException e) {
            // the fleet is going down
            return null;
        }
    }

    /** As {@link Report} has it; null for a device without a log. */
    Map<String, Object> figures() {
        if (!settings.on()) {
            return null;
        }
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("boot", Integer.toUnsignedLong(ring.boot()));
        figures.put("acknowledged", counters.logAcknowledged.get());
        figures.put("givenUp", counters.logGivenUp.get());
        figures.put("waiting", ring.size());
        figures.put("lines", counters.logLines.get());
        figures.put("sends", counters.logSends.get());
        figures.put("level", ring.level());
        return figures;
    }
}
