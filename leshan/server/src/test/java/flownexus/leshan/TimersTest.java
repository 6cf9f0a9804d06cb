package flownexus.leshan;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Test;

class TimersTest {

    @Test
    void keepsNothingOfACancelledTask() {
        ScheduledThreadPoolExecutor timer = (ScheduledThreadPoolExecutor) Timers.create("test");
        try {
            timer.schedule(() -> { }, 1, TimeUnit.DAYS).cancel(false);
            assertTrue(timer.getQueue().isEmpty());
        } finally {
            timer.shutdownNow();
        }
    }
}
