package flownexus.fleet;

import java.io.IOException;
import java.util.concurrent.ScheduledThreadPoolExecutor;

import org.eclipse.californium.elements.util.DaemonThreadFactory;
import org.eclipse.californium.elements.util.ExecutorsUtil;
import org.eclipse.californium.elements.util.ProtocolScheduledExecutorService;

/** All threads of a fleet, however many devices it has. */
final class SharedThreads implements AutoCloseable {

    private final ProtocolScheduledExecutorService protocol;
    private final ScheduledThreadPoolExecutor timers;
    private final ScheduledThreadPoolExecutor air;
    private final RadioLoop radios;

    SharedThreads() throws IOException {
        int workers = Math.max(2, Runtime.getRuntime().availableProcessors());
        radios = new RadioLoop();
        protocol = ExecutorsUtil.newProtocolScheduledThreadPool(workers + 1, new DaemonThreadFactory("fleet-coap-"));
        timers = new ScheduledThreadPoolExecutor(workers, new DaemonThreadFactory("fleet-timer-"));
        timers.setRemoveOnCancelPolicy(true);
        air = new ScheduledThreadPoolExecutor(1, new DaemonThreadFactory("fleet-air-"));
    }

    /** CoAP and DTLS. */
    ProtocolScheduledExecutorService protocol() {
        return protocol;
    }

    /** Everything that happens at a time: values, updates, sleep; and what must not run on a protocol thread. */
    ScheduledThreadPoolExecutor timers() {
        return timers;
    }

    /** Datagrams on a long way; one thread, so that none overtakes another. */
    ScheduledThreadPoolExecutor air() {
        return air;
    }

    RadioLoop radios() {
        return radios;
    }

    @Override
    public void close() throws IOException {
        timers.shutdownNow();
        protocol.shutdownNow();
        air.shutdownNow();
        radios.close();
    }
}
