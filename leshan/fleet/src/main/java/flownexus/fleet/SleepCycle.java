package flownexus.fleet;

import java.time.Duration;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * A queue-mode device's rhythm (LwM2M 1.1 transport binding, 6.4): awake for a while after the last message in either
 * direction, then with its radio off until the time has come or it has something to say.
 */
final class SleepCycle {

    private final ScheduledExecutorService timers;
    private final Duration awake;
    private final Duration sleep;
    private final Radio radio;
    private final BooleanSupplier maySleep;
    private final Runnable onSleep;
    private final Runnable onWake;

    private boolean running;
    private boolean asleep;
    private long lastTraffic;
    private Future<?> timer;

    /** @param maySleep false while the device waits for something; @param onWake is called with the radio on */
    SleepCycle(ScheduledExecutorService timers, Duration awake, Duration sleep, Radio radio, BooleanSupplier maySleep,
            Runnable onSleep, Runnable onWake) {
        this.timers = timers;
        this.awake = awake;
        this.sleep = sleep;
        this.radio = radio;
        this.maySleep = maySleep;
        this.onSleep = onSleep;
        this.onWake = onWake;
    }

    /** From now on the device may fall asleep. */
    synchronized void start() {
        running = true;
        lastTraffic = System.nanoTime();
        schedule(this::perhapsSleep, awake);
    }

    /** Awake until the next {@link #start()}. */
    synchronized void stop() {
        running = false;
        asleep = false;
        if (timer != null) {
            timer.cancel(false);
        }
    }

    synchronized boolean isAsleep() {
        return asleep;
    }

    /** A message came or is about to go. One that goes wakes the device; none comes while it is asleep. */
    void traffic() {
        synchronized (this) {
            lastTraffic = System.nanoTime();
            if (!asleep) {
                return;
            }
        }
        wake();
    }

    private void perhapsSleep() {
        boolean ready = maySleep.getAsBoolean();
        synchronized (this) {
            if (!running || asleep) {
                return;
            }
            Duration left = awake.minusNanos(System.nanoTime() - lastTraffic);
            if (!ready || left.compareTo(Duration.ZERO) > 0) {
                Duration soon = Duration.ofMillis(100);
                schedule(this::perhapsSleep, left.compareTo(soon) > 0 ? left : soon);
                return;
            }
            asleep = true;
            radio.set(false);
            schedule(this::wake, sleep);
        }
        onSleep.run();
    }

    private void wake() {
        synchronized (this) {
            if (!asleep) {
                return;
            }
            asleep = false;
            radio.set(true);
            lastTraffic = System.nanoTime();
            schedule(this::perhapsSleep, awake);
        }
        onWake.run();
    }

    private void schedule(Runnable task, Duration pause) {
        if (timer != null) {
            timer.cancel(false);
        }
        try {
            timer = timers.schedule(task, pause.toNanos(), TimeUnit.NANOSECONDS);
        } catch (RejectedExecutionException e) {
            // the fleet is going down
            timer = null;
        }
    }
}
