package flownexus.leshan;

import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;

/** Threads that do things later. */
public final class Timers {

    private Timers() {
    }

    /** One that forgets a cancelled task at once, not in its time: a request's timeout holds the whole payload. */
    public static ScheduledExecutorService create(String name) {
        ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(1, task -> new Thread(task, name));
        timer.setRemoveOnCancelPolicy(true);
        return timer;
    }
}
