package flownexus.leshan;

import static org.junit.jupiter.api.Assertions.fail;

import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;

/** Waits for conditions, never for time. */
public final class Eventually {

    private static final Duration DEADLINE = Duration.ofSeconds(20);

    private Eventually() {
    }

    /** Returns when the condition holds, or fails with the text after 20 s. */
    public static void eventually(String what, Callable<Boolean> condition) {
        long deadline = System.nanoTime() + DEADLINE.toNanos();
        while (System.nanoTime() < deadline) {
            try {
                if (condition.call()) {
                    return;
                }
            } catch (Exception e) {
                throw new AssertionError(what, e);
            }
            LockSupport.parkNanos(2_000_000);
        }
        fail("within " + DEADLINE.toSeconds() + " s: " + what);
    }
}
