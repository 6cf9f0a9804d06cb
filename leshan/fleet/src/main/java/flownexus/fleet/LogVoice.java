package flownexus.fleet;

import java.util.Locale;
import java.util.random.RandomGenerator;

/** What a device's software has to say: the words and figures of its log. */
final class LogVoice {

    /** Where lines go. */
    interface Log {
        void add(LogSeverity severity, String module, String text);
    }

    /** What the lines tell of. Called with the voice's lock held: must not wait for anybody who speaks. */
    interface Senses {
        double temperature();

        double humidity();

        int batteryLevel();

        int batteryMillivolts();

        /** In dBm. */
        int signal();
    }

    private static final int LOW_BATTERY = 20;
    private static final int WEAK_SIGNAL = -103;
    /** Chances of one utterance, in thousandths; what is left is the sensor's. */
    private static final int FAULT = 3;
    private static final int WARNING = 40;
    private static final int NETWORK = 170;
    private static final int POWER = 300;
    private static final int SYSTEM = 420;

    private static final String[] THREADS = { "sensor_poll", "lwm2m_rd", "net_mgmt", "shell_uart", "sysworkq" };

    private final Log log;
    private final Senses senses;
    private final RandomGenerator random;
    private final int cell;
    private final int serial;
    private boolean attached;
    private int boots;
    private int samples;
    private int faults;
    private int overruns;

    LogVoice(Log log, Senses senses, RandomGenerator random) {
        this.log = log;
        this.senses = senses;
        this.random = random;
        cell = random.nextInt(1, 1 << 28);
        serial = random.nextInt();
    }

    /** The first lines after a start. */
    synchronized void boot(String cause, String firmwareVersion) {
        boots++;
        samples = 0;
        faults = 0;
        overruns = 0;
        log.add(LogSeverity.INFO, "", "*** Booting FlowNexus sim v" + firmwareVersion + " ***");
        say(LogSeverity.INFO, "main", "reset cause: %s, boot %d since manufacture", cause, boots);
        say(LogSeverity.INFO, "flash", "settings: %d entries read, %d of 8192 bytes used", random.nextInt(9, 24),
                random.nextInt(700, 2400));
        say(LogSeverity.DEBUG, "clock", "32768 Hz crystal running after %d ms", random.nextInt(180, 420));
        say(LogSeverity.INFO, "sensor", "temperature and humidity sensor found, i2c 0x44, serial 0x%08x", serial);
        say(LogSeverity.DEBUG, "power", "battery %d mV, %d %%", senses.batteryMillivolts(), senses.batteryLevel());
        attached = false;
    }

    synchronized void registering() {
        if (!attached) {
            attached = true;
            say(LogSeverity.INFO, "net", "attached to cell 0x%07x, band 20, RSRP %d dBm", cell, senses.signal());
        }
        log.add(LogSeverity.DEBUG, "lwm2m", "registration begins");
    }

    synchronized void registered(String id, long lifetime) {
        say(LogSeverity.INFO, "lwm2m", "registered as %s, lifetime %d s", id, lifetime);
    }

    synchronized void updated() {
        log.add(LogSeverity.INFO, "lwm2m", "registration updated");
    }

    synchronized void refused(String reason, long pauseMillis) {
        say(LogSeverity.WARNING, "lwm2m", "registration failed: %s; next try in %d ms", reason, pauseMillis);
    }

    synchronized void lost(String reason) {
        log.add(LogSeverity.WARNING, "lwm2m", "server lost: " + reason);
    }

    synchronized void asleep() {
        log.add(LogSeverity.DEBUG, "power", "radio off");
    }

    synchronized void awake() {
        say(LogSeverity.DEBUG, "power", "radio on, RSRP %d dBm", senses.signal());
    }

    synchronized void firmware(LogSeverity severity, String text) {
        log.add(severity, "fota", text);
    }

    synchronized void rebooting(String why) {
        log.add(LogSeverity.WARNING, "main", why);
    }

    /** The clock was set. */
    synchronized void clockSet(String time) {
        log.add(LogSeverity.INFO, "clock", "time set by the server: " + time);
    }

    /** Whatever goes through its head. */
    synchronized void chat() {
        int topic = random.nextInt(1000);
        if (topic < FAULT) {
            fault();
        } else if (topic < WARNING) {
            warn();
        } else if (topic < NETWORK) {
            say(LogSeverity.DEBUG, "net", "RSRP %d dBm, RSRQ %d dB, cell 0x%07x, %d bytes up, %d down", senses.signal(),
                    -random.nextInt(5, 15), cell, random.nextInt(200, 9000), random.nextInt(100, 3000));
        } else if (topic < POWER) {
            int level = senses.batteryLevel();
            say(level < LOW_BATTERY ? LogSeverity.WARNING : LogSeverity.DEBUG, "power",
                    level < LOW_BATTERY ? "battery low: %d mV, %d %%" : "battery %d mV, %d %%",
                    senses.batteryMillivolts(), level);
        } else if (topic < SYSTEM) {
            say(LogSeverity.DEBUG, "system", "heap %d of 65536 bytes used, stack of %s: %d bytes never used",
                    random.nextInt(22_000, 48_000), THREADS[random.nextInt(THREADS.length)], random.nextInt(120, 1800));
        } else {
            samples++;
            if (samples % 20 == 0) {
                say(LogSeverity.INFO, "sensor", "%d samples since boot, all checksums right", samples);
            } else {
                say(LogSeverity.DEBUG, "sensor", "sample %d: %.2f Cel, %.1f %%RH, %d us", samples, senses.temperature(),
                        senses.humidity(), random.nextInt(12_400, 15_800));
            }
        }
    }

    private void warn() {
        if (senses.signal() < WEAK_SIGNAL) {
            say(LogSeverity.WARNING, "net", "weak signal: RSRP %d dBm, coverage level 1", senses.signal());
        } else if (random.nextBoolean()) {
            say(LogSeverity.WARNING, "coap", "message 0x%04x sent again, attempt %d", random.nextInt(1 << 16),
                    random.nextInt(2, 4));
        } else {
            say(LogSeverity.WARNING, "sensor", "checksum 0x%02x instead of 0x%02x, sample taken again",
                    random.nextInt(256), random.nextInt(256));
        }
    }

    /** A thread died and was started again. */
    private void fault() {
        String thread = THREADS[random.nextInt(THREADS.length)];
        int stack = 0x2000_0000 + random.nextInt(0x800, 0x3000) * 8;
        int code = 0x0001_0000 + random.nextInt(0x200, 0x7000) * 2;
        say(LogSeverity.ERROR, "fault", "bus fault in thread %s, precise, address 0x%08x", thread, random.nextInt());
        say(LogSeverity.ERROR, "fault", "  r0  0x%08x  r1  0x%08x  r2   0x%08x  r3  0x%08x", random.nextInt(256),
                stack - 64, random.nextInt(16), random.nextInt());
        say(LogSeverity.ERROR, "fault", "  r12 0x%08x  lr  0x%08x  pc   0x%08x  psr 0x61000000",
                random.nextInt(), code + 0x39, code);
        say(LogSeverity.ERROR, "fault", "  cfsr 0x00008200  hfsr 0x00000000  sp 0x%08x", stack);
        for (int row = 0; row < 3; row++) {
            say(LogSeverity.ERROR, "fault", "  %08x: %08x %08x %08x %08x", stack + 16 * row, random.nextInt(),
                    code + random.nextInt(0x400), stack + random.nextInt(0x100), random.nextInt(1024));
        }
        faults++;
        say(LogSeverity.ERROR, "fault", "thread %s started again, fault %d since boot", thread, faults);
    }

    /** One of very many lines. */
    synchronized void rave() {
        overruns++;
        say(overruns % 50 == 0 ? LogSeverity.ERROR : LogSeverity.WARNING, "adc",
                "overrun %d: buffer 0x%08x not read in time, %d words dropped", overruns,
                0x2000_1000 + overruns % 8 * 64, random.nextInt(1, 16));
    }

    private void say(LogSeverity severity, String module, String format, Object... figures) {
        log.add(severity, module, String.format(Locale.ROOT, format, figures));
    }
}
