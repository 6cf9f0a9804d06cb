package flownexus.fleet;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.SocketException;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import flownexus.models.ObjectModels;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mEncoder;
import org.eclipse.leshan.transport.californium.client.endpoint.CaliforniumClientEndpointsProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coap.CoapClientProtocolProvider;
import org.eclipse.leshan.transport.californium.client.endpoint.coaps.CoapsClientProtocolProvider;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Simulated devices in one process, on shared threads. */
final class Fleet implements AutoCloseable {

    private static final Logger LOG = LoggerFactory.getLogger(Fleet.class);

    /** Largest body but for firmware packages, which have no limit; Californium's own is 8 KiB. */
    private static final int MAX_BODY = 16 * 1024 * 1024;
    /** How many of the server's last messages a device recognises when they come again. */
    private static final int REMEMBERED = 64;
    private static final int BLOCK = 1024;
    /** How long a line may be missing in the file of log lines. */
    private static final long LOG_FILE_MILLIS = 200;

    private final Settings settings;
    private final SharedThreads threads;
    private final List<Device> devices = new ArrayList<>();
    private final LogFile logFile;

    /** @throws IllegalArgumentException with one line for the user if names or credentials are of no use */
    Fleet(Settings settings, ObjectModels models) throws IOException {
        this.settings = settings;
        String[] names = new EndpointPattern(settings.endpoints()).names(settings.count());
        List<Credentials> credentials = new ArrayList<>();
        for (String name : names) {
            credentials.add(switch (settings.mode()) {
            case X509 -> Credentials.loadCertificate(settings.credentials(), name);
            case PSK -> Credentials.loadPsk(settings.credentials(), name);
            case NOSEC -> new Credentials.None();
            });
        }
        checkPorts(settings);
        try {
            logFile = settings.logs().file() == null ? null : new LogFile(settings.logs().file());
        } catch (IOException e) {
            throw new IllegalArgumentException("--log-file: the file cannot be written: " + e.getMessage(), e);
        }
        threads = new SharedThreads();
        if (logFile != null) {
            threads.timers().scheduleWithFixedDelay(logFile::flush, LOG_FILE_MILLIS, LOG_FILE_MILLIS,
                    TimeUnit.MILLISECONDS);
        }
        FleetContext context = new FleetContext(threads, configuration(settings), models,
                settings.testObject() ? TestObject.model() : null, new DefaultLwM2mEncoder(), new DefaultLwM2mDecoder(),
                logFile);
        SplittableRandom seeds = new SplittableRandom(settings.seed());
        for (int i = 0; i < names.length; i++) {
            boolean sleeper = i >= names.length - settings.sleepers();
            devices.add(new Device(names[i], i + 1, sleeper, credentials.get(i), settings, context, seeds.split()));
        }
    }

    /** Says in time what Californium would only log when a device starts. */
    private static void checkPorts(Settings settings) {
        for (int i = 0; settings.firstPort() > 0 && i < settings.count(); i++) {
            int port = settings.firstPort() + i;
            try (DatagramSocket probe = new DatagramSocket(port)) {
                LOG.debug("UDP port {} is free", probe.getLocalPort());
            } catch (SocketException e) {
                throw new IllegalArgumentException("--ports: UDP port " + port + " cannot be used: " + e.getMessage(),
                        e);
            }
        }
    }

    private static Configuration configuration(Settings settings) {
        Configuration configuration = new CaliforniumClientEndpointsProvider.Builder(new CoapClientProtocolProvider(),
                new CoapsClientProtocolProvider()).createDefaultConfiguration();
        configuration.set(CoapConfig.ACK_TIMEOUT, (int) settings.ackTimeout().toMillis(), TimeUnit.MILLISECONDS);
        configuration.set(CoapConfig.MAX_RETRANSMIT, settings.maxRetransmit());
        configuration.set(CoapConfig.MAX_RESOURCE_BODY_SIZE, MAX_BODY);
        configuration.set(CoapConfig.PREFERRED_BLOCK_SIZE, BLOCK);
        // each block of a package would else be kept for minutes, in case it comes again
        configuration.set(CoapConfig.DEDUPLICATOR, CoapConfig.DEDUPLICATOR_PEERS_MARK_AND_SWEEP);
        configuration.set(CoapConfig.PEERS_MARK_AND_SWEEP_MESSAGES, REMEMBERED);
        configuration.set(DtlsConfig.DTLS_RETRANSMISSION_TIMEOUT, (int) settings.dtlsTimeout().toMillis(),
                TimeUnit.MILLISECONDS);
        configuration.set(DtlsConfig.DTLS_MAX_RETRANSMISSIONS, settings.dtlsMaxRetransmissions());
        // a client needs no id of its own (length 0) to use the server's; without a length the extension is off
        configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, settings.connectionId() ? 0 : null);
        // the fleet's own receiver hands the datagrams over
        configuration.set(DtlsConfig.DTLS_RECEIVER_THREAD_COUNT, 0);
        return configuration;
    }

    /** Starts the devices at the wanted rate; returns when all have been started, registered or not. */
    void start() throws InterruptedException {
        CountDownLatch started = new CountDownLatch(devices.size());
        for (int i = 0; i < devices.size(); i++) {
            Device device = devices.get(i);
            threads.timers().schedule(() -> {
                try {
                    device.start();
                } catch (RuntimeException e) {
                    LOG.error("{}: cannot start: {}", device.endpoint(), Failures.describe(e));
                } finally {
                    started.countDown();
                }
            }, i * 1_000_000L / settings.startRate(), TimeUnit.MICROSECONDS);
        }
        started.await();
    }

    List<Device> devices() {
        return devices;
    }

    SharedThreads threads() {
        return threads;
    }

    /** Stops every device; where wanted each says so to the server, for which it has the given time. */
    void stop(boolean deregister, long timeoutMillis) {
        CompletableFuture<?>[] stopped = devices.stream().map(device -> device.stop(deregister))
                .toArray(CompletableFuture[]::new);
        try {
            CompletableFuture.allOf(stopped).get(timeoutMillis, TimeUnit.MILLISECONDS);
        } catch (TimeoutException e) {
            LOG.info("not every device could deregister in time");
        } catch (ExecutionException e) {
            LOG.warn("deregistration failed: {}", Failures.describe(e));
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    /** Gives the acknowledgements of the last values a moment, so that the final figures are true. */
    void awaitQuiet(long timeoutMillis) {
        long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMillis);
        try {
            while (System.nanoTime() < deadline && !devices.stream().allMatch(Device::isQuiet)) {
                TimeUnit.MILLISECONDS.sleep(10);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        if (logFile != null) {
            logFile.flush();
        }
    }

    @Override
    public void close() throws IOException {
        stop(false, 0);
        devices.forEach(Device::destroy);
        threads.close();
        if (logFile != null) {
            logFile.close();
        }
    }
}
