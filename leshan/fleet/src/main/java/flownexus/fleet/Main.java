package flownexus.fleet;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.math.BigDecimal;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import com.sun.management.OperatingSystemMXBean;
import flownexus.models.ObjectModels;
import org.slf4j.LoggerFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** The command line of the simulated fleet. */
@Command(name = "flownexus-fleet", sortOptions = false, usageHelpWidth = 100, description = {
        "Simulates LwM2M devices, many in one process.",
        "Each has the objects Server (1), Device (3), Connectivity (4), Firmware Update (5), Location (6), "
                + "Temperature (3303), Humidity (3304), Actuation (3306) and Light Control (3311); with --logs Event Log (20). "
                + "Durations are in seconds, with decimals." })
public final class Main implements Callable<Integer> {

    /** How long a report may be old. */
    private static final long REPORT_MILLIS = 1000;
    /** What SIGTERM leaves for the devices' goodbye, well under the three seconds in all. */
    private static final long GOODBYE_MILLIS = 1500;
    /** And for the acknowledgements of the last values. */
    private static final long QUIET_MILLIS = 500;

    @Option(names = "--server", required = true, paramLabel = "URI", description = "where to register, "
            + "coaps://HOST[:PORT] or coap://HOST[:PORT]; the ports are 5684 and 5683 if not given")
    private String server;

    @Option(names = "--count", paramLabel = "N", defaultValue = "3", description = "number of devices "
            + "(default ${DEFAULT-VALUE})")
    private int count;

    @Option(names = "--endpoint", paramLabel = "PATTERN", defaultValue = "sim-{n}", description = "their names: {n} is "
            + "the number from 1, {n:04} the same with leading zeros (default ${DEFAULT-VALUE})")
    private String endpoint;

    @Option(names = "--mode", paramLabel = "MODE", description = "x509, psk or nosec (default x509 for coaps, "
            + "nosec for coap)")
    private String mode;

    @Option(names = "--credentials", paramLabel = "DIR", description = "folder with one folder a device, named as the "
            + "device (percent-encoded), holding cert.pem, key.pem and ca.pem, or psk.identity and psk.key (hex)")
    private Path credentials;

    @Option(names = "--interval", paramLabel = "S", defaultValue = "2.0", description = "time between two temperatures "
            + "of one device (default ${DEFAULT-VALUE}); humidity follows every fifth, battery and signal every minute")
    private BigDecimal interval;

    @Option(names = "--send", description = "devices Send their values (SenML CBOR, with the device's time) instead "
            + "of notifying observers")
    private boolean send;

    @Option(names = "--counted", description = "/3303/0/5700 is a counter 0, 1, 2, ... instead of a temperature: each "
            + "number is repeated until it is acknowledged, then the next follows; nothing else changes")
    private boolean counted;

    @Option(names = "--sleepers", paramLabel = "N", defaultValue = "0", description = "the last N devices use queue "
            + "mode: their radio is off, and on waking they Send what they measured as one timestamped series "
            + "(default ${DEFAULT-VALUE})")
    private int sleepers;

    @Option(names = "--awake-seconds", paramLabel = "S", defaultValue = "5", description = "how long a sleeper stays "
            + "awake after the last message in either direction (default ${DEFAULT-VALUE})")
    private BigDecimal awakeSeconds;

    @Option(names = "--sleep-seconds", paramLabel = "S", defaultValue = "55", description = "how long it sleeps "
            + "(default ${DEFAULT-VALUE})")
    private BigDecimal sleepSeconds;

    @Option(names = "--lifetime", paramLabel = "S", defaultValue = "300", description = "registration lifetime, whole "
            + "seconds (default ${DEFAULT-VALUE})")
    private long lifetime;

    @Option(names = "--update-period", paramLabel = "S", description = "time between registration updates (default: as "
            + "late as the lifetime and the retransmissions allow)")
    private BigDecimal updatePeriod;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1", description = "the same seed makes the same devices "
            + "(default ${DEFAULT-VALUE})")
    private long seed;

    @Option(names = "--ack-timeout", paramLabel = "S", defaultValue = "2.0", description = "CoAP ACK_TIMEOUT: pause "
            + "before the first retransmission, doubled for each further one (default ${DEFAULT-VALUE})")
    private BigDecimal ackTimeout;

    @Option(names = "--max-retransmit", paramLabel = "N", defaultValue = "4", description = "CoAP MAX_RETRANSMIT "
            + "(default ${DEFAULT-VALUE}); when a message stays unanswered the device registers anew")
    private int maxRetransmit;

    @Option(names = "--dtls-retransmission-timeout", paramLabel = "S", description = "pause before the first "
            + "retransmission in a handshake (default: as --ack-timeout)")
    private BigDecimal dtlsTimeout;

    @Option(names = "--dtls-max-retransmissions", paramLabel = "N", description = "retransmissions in a handshake "
            + "(default: as --max-retransmit)")
    private Integer dtlsMaxRetransmissions;

    @Option(names = "--backoff", paramLabel = "S", defaultValue = "1", description = "pause after a failed "
            + "registration, doubled after each further one (default ${DEFAULT-VALUE})")
    private BigDecimal backoff;

    @Option(names = "--backoff-max", paramLabel = "S", defaultValue = "30", description = "longest such pause (default "
            + "${DEFAULT-VALUE})")
    private BigDecimal backoffMax;

    @Option(names = "--boot-seconds", paramLabel = "S", defaultValue = "2", description = "how long a reboot (/3/0/4) "
            + "or factory reset (/3/0/5) takes (default ${DEFAULT-VALUE})")
    private BigDecimal bootSeconds;

    @Option(names = "--connection-id", negatable = true, defaultValue = "true", fallbackValue = "true", description = "use "
            + "a DTLS connection id where the server offers one (on by default)")
    private boolean connectionId;

    @Option(names = "--ports", paramLabel = "FIRST", defaultValue = "0", description = "local UDP port of the first "
            + "device, the others follow (default: any free ports)")
    private int ports;

    @Option(names = "--start-rate", paramLabel = "N", defaultValue = "200", description = "devices started per second "
            + "(default ${DEFAULT-VALUE})")
    private int startRate;

    @Option(names = "--round-trip", paramLabel = "MS", defaultValue = "0", description = "milliseconds to the server "
            + "and back: every datagram is delayed by half of it (default ${DEFAULT-VALUE})")
    private BigDecimal roundTrip;

    @Option(names = "--test-object", description = "devices have object 33000, too: every data type, writable, with "
            + "instances to create and delete; its definition is objects/33000.xml in the fleet's resources")
    private boolean testObject;

    @Option(names = "--firmware-version", paramLabel = "TEXT", defaultValue = "1.0.0", description = "what the devices "
            + "run at first (default ${DEFAULT-VALUE}); the version of a package is in its MCUboot header, in a first "
            + "line version:TEXT, or made of its hash")
    private String firmwareVersion;

    @Option(names = "--firmware-instances", paramLabel = "N", defaultValue = "1", description = "instances of object 5: "
            + "application, modem, part 3 ... (default ${DEFAULT-VALUE}); the first one's version is the device's")
    private int firmwareInstances;

    @Option(names = "--firmware-method", paramLabel = "N", defaultValue = "2", description = "how packages come: 0 pull, "
            + "1 push, 2 both (default ${DEFAULT-VALUE})")
    private int firmwareMethod;

    @Option(names = "--firmware-protocols", paramLabel = "N,N", split = ",", defaultValue = "0,1", description = "for "
            + "pull: 0 CoAP, 1 CoAPS, 2 HTTP, 3 HTTPS (default ${DEFAULT-VALUE}); the last two are announced only")
    private List<Integer> firmwareProtocols;

    @Option(names = "--firmware-object-version", paramLabel = "V", defaultValue = "1.0", description = "1.0, or 1.1 with "
            + "Cancel, Severity, Last State Change Time and Maximum Defer Period (default ${DEFAULT-VALUE})")
    private String firmwareObjectVersion;

    @Option(names = "--firmware-report-state-1", paramLabel = "YES|NO", defaultValue = "yes", description = "whether "
            + "devices show State 1 while a package comes in (default ${DEFAULT-VALUE})")
    private String firmwareReportState1;

    @Option(names = "--firmware-block-size", paramLabel = "N", defaultValue = "1024", description = "largest block of a "
            + "package that devices take or ask for: 16, 32 ... 1024 bytes (default ${DEFAULT-VALUE})")
    private int firmwareBlockSize;

    @Option(names = "--install-seconds", paramLabel = "S", defaultValue = "1", description = "how long State 3 lasts "
            + "before the reboot, which takes --boot-seconds (default ${DEFAULT-VALUE})")
    private BigDecimal installSeconds;

    @Option(names = "--logs", negatable = true, defaultValue = "false", fallbackValue = "true", description = "devices "
            + "have Event Log (20) and Send the lines that their software logs (off by default); docs/device-logs.md")
    private boolean logs;

    @Option(names = "--log-interval", paramLabel = "S", defaultValue = "10", description = "time between two lines of "
            + "one device, on average (default ${DEFAULT-VALUE}); what happens to it is logged besides")
    private BigDecimal logInterval;

    @Option(names = "--log-delay", paramLabel = "S", defaultValue = "5", description = "how long a line waits for "
            + "others to fill its message (default ${DEFAULT-VALUE}); errors do not wait")
    private BigDecimal logDelay;

    @Option(names = "--log-message-bytes", paramLabel = "N", defaultValue = "480", description = "largest log message "
            + "(default ${DEFAULT-VALUE})")
    private int logMessageBytes;

    @Option(names = "--log-lines", paramLabel = "N", defaultValue = "1024", description = "most lines that a device "
            + "keeps while it cannot send (default ${DEFAULT-VALUE}); the oldest are given up")
    private int logLines;

    @Option(names = "--log-memory", paramLabel = "BYTES", defaultValue = "16384", description = "most memory that they "
            + "take (default ${DEFAULT-VALUE})")
    private int logMemory;

    @Option(names = "--device-log-level", paramLabel = "N", defaultValue = "4", description = "what devices keep until "
            + "the server writes /20/0/26241: 0 nothing, 1 errors, 2 and warnings, 3 and infos, 4 all (default "
            + "${DEFAULT-VALUE})")
    private int deviceLogLevel;

    @Option(names = "--log-storm", paramLabel = "ENDPOINT:N", description = "repeatable: this device logs N further "
            + "lines a second")
    private List<String> logStorms = new ArrayList<>();

    @Option(names = "--log-file", paramLabel = "FILE", description = "all lines that devices keep, as JSON lines; one "
            + "that is given up follows once more")
    private Path logFile;

    @Option(names = "--fault", paramLabel = "FAULT", description = { "repeatable: a misbehaviour on demand, "
            + "[ENDPOINT:]PATH[@OPERATION]=KIND[:SECONDS][*TIMES], as in /3/0/14=unauthorized or "
            + "sim-3:/3/0/4@execute=late:2*1. ENDPOINT may hold * and ?. The path stands for everything below it, too, and / for everything; "
            + "the first fault that fits counts; TIMES is how often, for each device.",
            "OPERATION: read, observe, cancel, discover, write, attributes, execute, create, delete.",
            "KIND: bad_request, unauthorized, not_found, method_not_allowed, internal_error (these answer); silent "
                    + "(request lost); ack_then_silent; execute_then_silent (done, answer lost); late:SECONDS (done at "
                    + "once, answered later); die:SECONDS (gone without an answer, then a new registration); "
                    + "reregister:SECONDS (registers anew first, answers afterwards)",
            "Of firmware, with the path /5 or /5/INSTANCE: integrity, no-space, no-memory, unsupported, uri, protocol, "
                    + "lost@BYTES:SECONDS, silent@BYTES[:SECONDS], hang-1 (one of these for each package); slow:SECONDS; "
                    + "execute-lost, execute-mute; hang-2, hang-3, install-failed, install-failed-2, constant-version, "
                    + "no-change, rollback:SECONDS, other-version:TEXT, cancelled, deferred (one of these for each "
                    + "execute); docs/development.md has the table",
            "Of what devices measure and send, with the paths /3303/0/5700 and /3304/0/5700: value[@N]:NUMBER (NaN, "
                    + "Infinity, 1e300; each Nth value), conflict (two values of one moment), twice (a Send comes twice; of "
                    + "log lines with /20/0/4014). Of the clock, with the path /3/0/13, from the device's start: clock:boot "
                    + "(1970), clock:2000-01-01, clock:-86400 (seconds off), drift:PARTS_PER_MILLION" })
    private List<String> faults = new ArrayList<>();

    @Option(names = "--fault-file", paramLabel = "FILE", description = "more faults, one a line, # begins a comment; read "
            + "again whenever it changes, and need not exist")
    private Path faultFile;

    @Option(names = "--report", paramLabel = "FILE", description = "every second and at the end: one JSON line a "
            + "device with what it sent, what was acknowledged, registrations ..., and in \"paths\" how often each path was "
            + "executed, written, created, deleted, with the last arguments and value; replaced as a whole")
    private Path report;

    @Option(names = "--deregister", description = "tell the server when the fleet ends; without it the registrations "
            + "expire")
    private boolean deregister;

    @Option(names = "--log-level", paramLabel = "LEVEL", defaultValue = "info", description = "error, warn, info "
            + "(registered, refused, lost), debug (also sleep and updates) or trace (also the libraries) (default "
            + "${DEFAULT-VALUE})")
    private String logLevel;

    @Option(names = { "-h", "--help" }, usageHelp = true, description = "show this text")
    private boolean help;

    /** Ends with 0 after SIGTERM or SIGINT, with 1 when it cannot start, with 2 for a wrong command line. */
    public static void main(String[] args) {
        CommandLine commandLine = new CommandLine(new Main());
        commandLine.setParameterExceptionHandler((exception, arguments) -> {
            System.err.println("flownexus-fleet: " + oneLine(exception.getMessage()) + " (see --help)");
            return 2;
        });
        commandLine.setExecutionExceptionHandler((exception, command, result) -> {
            boolean expected = exception instanceof IllegalArgumentException || exception instanceof IOException;
            System.err.println("flownexus-fleet: " + (expected ? oneLine(exception.getMessage()) : exception));
            return 1;
        });
        int code = commandLine.execute(args);
        System.exit(code);
    }

    private static String oneLine(String message) {
        return String.valueOf(message).lines().findFirst().orElse("");
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        setLogLevel();
        Settings settings = settings();
        long begun = System.nanoTime();
        Fleet fleet = new Fleet(settings, ObjectModels.load(List.of()));
        Report reporter = settings.report() == null ? null : new Report(settings.report());
        if (reporter != null) {
            writeFirst(reporter, fleet.devices());
            fleet.threads().timers().scheduleWithFixedDelay(() -> write(reporter, fleet.devices()), REPORT_MILLIS,
                    REPORT_MILLIS, TimeUnit.MILLISECONDS);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            fleet.stop(settings.deregister(), GOODBYE_MILLIS);
            fleet.awaitQuiet(QUIET_MILLIS);
            if (reporter != null) {
                write(reporter, fleet.devices());
            }
            say(summary(fleet.devices(), System.nanoTime() - begun));
            // a JVM that a signal ends would report 143
            Runtime.getRuntime().halt(0);
        }, "fleet-shutdown"));
        fleet.start();
        say("ready: " + settings.count() + " devices");
        new CountDownLatch(1).await();
        return 0;
    }

    private static void writeFirst(Report reporter, List<Device> devices) {
        try {
            reporter.write(devices);
        } catch (IOException e) {
            throw new IllegalArgumentException("--report: the file cannot be written: " + e.getMessage(), e);
        }
    }

    private static void write(Report reporter, List<Device> devices) {
        try {
            reporter.write(devices);
        } catch (IOException | RuntimeException e) {
            LoggerFactory.getLogger(Main.class).warn("the report was not written: {}", e.getMessage());
        }
    }

    private static void say(String line) {
        System.out.println(line);
        System.out.flush();
    }

    /** One line: what the fleet did and what it took. */
    private static String summary(List<Device> devices, long nanos) {
        long registered = devices.stream().filter(Device::isRegistered).count();
        long acknowledged = devices.stream().mapToLong(device -> device.counters().acknowledged.get()).sum();
        long sent = devices.stream().mapToLong(device -> device.counters().sent.get()).sum();
        double seconds = nanos / 1e9;
        double cpu = 0;
        if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system) {
            cpu = system.getProcessCpuTime() / 1e9;
        }
        long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed() >> 20;
        return String.format(Locale.ROOT, "ended: %d devices (%d registered at the end), %d values sent, "
                + "%d acknowledged, %.1f s of CPU in %.1f s (%.0f %% of a core), %d MiB of heap", devices.size(),
                registered, sent, acknowledged, cpu, seconds, 100 * cpu / seconds, heap);
    }

    private void setLogLevel() {
        Level level = switch (logLevel.toLowerCase(Locale.ROOT)) {
        case "error" -> Level.ERROR;
        case "warn" -> Level.WARN;
        case "info" -> Level.INFO;
        case "debug" -> Level.DEBUG;
        case "trace" -> Level.TRACE;
        default -> throw new IllegalArgumentException("--log-level: error, warn, info, debug or trace, not '"
                + logLevel + "'");
        };
        ((Logger) LoggerFactory.getLogger("flownexus")).setLevel(level);
        if (level == Level.TRACE) {
            ((Logger) LoggerFactory.getLogger("org.eclipse")).setLevel(Level.DEBUG);
        }
    }

    /** What the parsed flags ask for. @throws IllegalArgumentException with one line that names the wrong flag */
    Settings settings() {
        URI uri = serverUri();
        boolean secured = "coaps".equals(uri.getScheme());
        Settings.Mode effectiveMode = mode(secured);
        if (effectiveMode != Settings.Mode.NOSEC && credentials == null) {
            throw new IllegalArgumentException("--credentials DIR is needed for "
                    + effectiveMode.name().toLowerCase(Locale.ROOT) + ": the folder with the devices' credentials");
        }
        if (effectiveMode != Settings.Mode.NOSEC && !Files.isDirectory(credentials)) {
            throw new IllegalArgumentException("--credentials: " + credentials + " is not a folder");
        }
        atLeast("--count", count, 1);
        atLeast("--sleepers", sleepers, 0);
        if (sleepers > count) {
            throw new IllegalArgumentException("--sleepers: there are only " + count + " devices");
        }
        atLeast("--lifetime", lifetime, 1);
        atLeast("--max-retransmit", maxRetransmit, 0);
        atMost("--max-retransmit", maxRetransmit, 10);
        int handshakeRetransmissions = dtlsMaxRetransmissions == null ? maxRetransmit : dtlsMaxRetransmissions;
        atLeast("--dtls-max-retransmissions", handshakeRetransmissions, 0);
        atMost("--dtls-max-retransmissions", handshakeRetransmissions, 10);
        atLeast("--start-rate", startRate, 1);
        atLeast("--ports", ports, 0);
        atMost("--ports", ports == 0 ? 0 : (long) ports + count - 1, 65_535);
        Duration ack = positive("--ack-timeout", ackTimeout);
        Duration first = positive("--backoff", backoff);
        Duration longest = positive("--backoff-max", backoffMax);
        if (longest.compareTo(first) < 0) {
            throw new IllegalArgumentException("--backoff-max must not be less than --backoff");
        }
        return new Settings(uri, effectiveMode, credentials, count, endpoint, positive("--interval", interval),
                sleepers, positive("--awake-seconds", awakeSeconds), positive("--sleep-seconds", sleepSeconds), send,
                counted, report, Duration.ofSeconds(lifetime),
                updatePeriod == null ? null : positive("--update-period", updatePeriod), seed, ack, maxRetransmit,
                dtlsTimeout == null ? ack : positive("--dtls-retransmission-timeout", dtlsTimeout),
                handshakeRetransmissions, ports, startRate, connectionId, first, longest,
                positive("--boot-seconds", bootSeconds), deregister, roundTrip(), testObject,
                new FaultPlan(faults, faultFile), firmware(), logs());
    }

    private LogSettings logs() {
        if (!logs && (logFile != null || !logStorms.isEmpty())) {
            throw new IllegalArgumentException((logFile != null ? "--log-file" : "--log-storm") + " needs --logs");
        }
        atLeast("--log-message-bytes", logMessageBytes, 128);
        atMost("--log-message-bytes", logMessageBytes, 60_000);
        atLeast("--log-lines", logLines, 1);
        atLeast("--log-memory", logMemory, logMessageBytes);
        atLeast("--device-log-level", deviceLogLevel, 0);
        atMost("--device-log-level", deviceLogLevel, 4);
        Map<String, Integer> storms = new HashMap<>();
        for (String storm : logStorms) {
            int colon = storm.lastIndexOf(':');
            if (colon < 1 || !storm.substring(colon + 1).matches("[1-9]\\d{0,4}")) {
                throw new IllegalArgumentException("--log-storm: '" + storm
                        + "' is not ENDPOINT:LINES_PER_SECOND, as in sim-1:500");
            }
            storms.put(storm.substring(0, colon), Integer.parseInt(storm.substring(colon + 1)));
        }
        return new LogSettings(logs, positive("--log-interval", logInterval), positive("--log-delay", logDelay),
                logMessageBytes, logLines, logMemory, deviceLogLevel, Map.copyOf(storms), logFile);
    }

    private Settings.Firmware firmware() {
        if (firmwareVersion.isBlank()) {
            throw new IllegalArgumentException("--firmware-version must not be empty");
        }
        atLeast("--firmware-instances", firmwareInstances, 1);
        atMost("--firmware-instances", firmwareInstances, 16);
        atLeast("--firmware-method", firmwareMethod, 0);
        atMost("--firmware-method", firmwareMethod, 2);
        for (int protocol : firmwareProtocols) {
            atLeast("--firmware-protocols", protocol, 0);
            atMost("--firmware-protocols", protocol, 5);
        }
        if (!List.of("1.0", "1.1").contains(firmwareObjectVersion)) {
            throw new IllegalArgumentException("--firmware-object-version: 1.0 or 1.1, not '" + firmwareObjectVersion
                    + "'");
        }
        if (!List.of("yes", "no").contains(firmwareReportState1)) {
            throw new IllegalArgumentException("--firmware-report-state-1: yes or no, not '" + firmwareReportState1
                    + "'");
        }
        if (firmwareBlockSize < 16 || firmwareBlockSize > 1024 || Integer.bitCount(firmwareBlockSize) != 1) {
            throw new IllegalArgumentException("--firmware-block-size: 16, 32, 64, 128, 256, 512 or 1024, not "
                    + firmwareBlockSize);
        }
        return new Settings.Firmware(firmwareVersion, firmwareInstances, firmwareMethod,
                List.copyOf(firmwareProtocols), positive("--install-seconds", installSeconds),
                firmwareReportState1.equals("yes"), firmwareObjectVersion, firmwareBlockSize);
    }

    private Duration roundTrip() {
        if (roundTrip.signum() < 0 || roundTrip.compareTo(new BigDecimal(60_000)) > 0) {
            throw new IllegalArgumentException("--round-trip: 0 to 60000 milliseconds, not " + roundTrip);
        }
        return Duration.ofNanos(roundTrip.movePointRight(6).longValue());
    }

    private URI serverUri() {
        URI uri;
        try {
            uri = new URI(server);
        } catch (URISyntaxException e) {
            throw new IllegalArgumentException("--server: '" + server + "' is not a URI");
        }
        if (uri.getHost() == null || !("coap".equals(uri.getScheme()) || "coaps".equals(uri.getScheme()))) {
            throw new IllegalArgumentException(
                    "--server: '" + server + "' is not coaps://HOST[:PORT] or coap://HOST[:PORT]");
        }
        if (new InetSocketAddress(uri.getHost(), 1).isUnresolved()) {
            throw new IllegalArgumentException("--server: the host '" + uri.getHost() + "' is unknown");
        }
        return uri;
    }

    private Settings.Mode mode(boolean secured) {
        if (mode == null) {
            return secured ? Settings.Mode.X509 : Settings.Mode.NOSEC;
        }
        Settings.Mode wanted = switch (mode.toLowerCase(Locale.ROOT)) {
        case "x509" -> Settings.Mode.X509;
        case "psk" -> Settings.Mode.PSK;
        case "nosec" -> Settings.Mode.NOSEC;
        default -> throw new IllegalArgumentException("--mode: x509, psk or nosec, not '" + mode + "'");
        };
        if (secured == (wanted == Settings.Mode.NOSEC)) {
            throw new IllegalArgumentException(secured ? "--mode nosec needs a coap:// server"
                    : "--mode " + mode + " needs a coaps:// server");
        }
        return wanted;
    }

    private static Duration positive(String flag, BigDecimal seconds) {
        if (seconds.compareTo(new BigDecimal("0.001")) < 0 || seconds.compareTo(new BigDecimal("1e7")) > 0) {
            throw new IllegalArgumentException(flag + ": 0.001 to 10000000 seconds, not " + seconds);
        }
        return Duration.ofNanos(seconds.movePointRight(9).longValue());
    }

    private static void atLeast(String flag, long value, long least) {
        if (value < least) {
            throw new IllegalArgumentException(flag + " must be at least " + least);
        }
    }

    private static void atMost(String flag, long value, long most) {
        if (value > most) {
            throw new IllegalArgumentException(flag + " must be at most " + most);
        }
    }
}
