package flownexus.fleet;

import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.interceptors.MessageInterceptor;
import org.eclipse.leshan.client.LeshanClient;
import org.eclipse.leshan.client.LeshanClientBuilder;
import org.eclipse.leshan.client.object.Security;
import org.eclipse.leshan.client.resource.LwM2mInstanceEnabler;
import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.client.util.LinkFormatHelper;
import org.eclipse.leshan.core.CertificateUsage;
import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One simulated LwM2M device. */
final class Device implements NotificationTap {

    private static final Logger LOG = LoggerFactory.getLogger(Device.class);

    static final LwM2mPath TEMPERATURE = new LwM2mPath(3303, 0, SensorInstance.VALUE);
    static final LwM2mPath HUMIDITY = new LwM2mPath(3304, 0, SensorInstance.VALUE);

    /** Where faults are looked for. */
    private static final String TEMPERATURE_FAULTS = TEMPERATURE.toString();
    private static final String HUMIDITY_FAULTS = HUMIDITY.toString();
    private static final String LOG_FAULTS = LogSender.LOG_DATA.toString();
    private static final String CLOCK_FAULTS = "/3/0/13";

    private static final int SHORT_SERVER_ID = 1;
    private static final Duration HOUSEKEEPING = Duration.ofSeconds(60);
    private static final Duration MOVING = Duration.ofSeconds(10);
    /** Every so-manieth device is on a vehicle, the second one first. */
    private static final int VEHICLES = 5;
    private static final Duration HUMIDITY_AT_LEAST = Duration.ofSeconds(10);
    /** Time for the answer to a reboot command to get out. */
    private static final Duration BEFORE_REBOOT = Duration.ofMillis(300);

    private final String endpoint;
    private final Settings settings;
    private final boolean sleeper;
    private final SharedThreads threads;
    private final Radio radio;
    private final Counters counters = new Counters();
    private final DeviceLog log;
    private final DeviceFaults faults;
    private final DeviceClock clock = new DeviceClock();

    private final Climate climate;
    private final SensorInstance temperature;
    private final SensorInstance humidity;
    private final DeviceInstance device;
    private final ServerInstance account;
    private final ActuatorInstance light;
    private final ActuatorInstance actuator;
    private final ConnectivityInstance connectivity;
    private final LocationInstance location;
    private final Firmware firmware;
    /** Null for a device without a log. */
    private final LogInstance logInstance;

    private final DeviceEndpoints endpoints;
    private final LeshanClient client;
    private final ValueNotifier notifier;
    private final SleepCycle cycle;
    private RegistrationMachine machine;
    private SampleSender sender;
    private LogSender logSender;

    private long counter = -1;
    private long ticks;
    private long messagesBefore;
    private volatile String refusal;
    private volatile Future<?> valueTimer;
    private volatile Future<?> housekeepingTimer;
    private volatile Future<?> movingTimer;

    /** @param random the device's own: the same seed makes the same device */
    Device(String endpoint, int number, boolean sleeper, Credentials credentials, Settings settings,
            FleetContext context, RandomGenerator random) {
        this.endpoint = endpoint;
        this.settings = settings;
        this.sleeper = sleeper;
        threads = context.threads();
        radio = new Radio(threads.radios(), threads.air(), settings.roundTrip().dividedBy(2));
        faults = new DeviceFaults(endpoint, settings.faults(), counters.operations);
        resetClock();
        Instant now = clock.now();

        climate = new Climate(random);
        Battery battery = new Battery(random);
        temperature = new SensorInstance("Cel", -40, 85, settings.counted() ? 0 : climate.temperature(now), now,
                counters, this::later);
        humidity = new SensorInstance("%RH", 0, 100, climate.humidity(now), now, counters, this::later);
        connectivity = new ConnectivityInstance(this::localAddress, random, counters);
        // a generator of its own: what the device says must not change what it measures
        log = new DeviceLog(endpoint, settings.logs(), new SplittableRandom(settings.seed() * 31 + endpoint.hashCode()),
                threads.timers(), context.logFile(), counters, new Senses(battery), this::flushLog);
        firmware = new Firmware(endpoint, settings.firmware(), faults, counters, new Host());
        device = new DeviceInstance(String.format("SIM-%06d", number), !sleeper, battery, clock, random,
                firmware::version, counters, new Actions());
        account = new ServerInstance(SHORT_SERVER_ID, settings.lifetime().toSeconds(), counters, new AccountActions());
        light = new ActuatorInstance(ActuatorInstance.COLOUR, counters, this::later);
        actuator = new ActuatorInstance(ActuatorInstance.MULTI_STATE, counters, this::later);

        notifier = new ValueNotifier(this::nextValue, new NotificationEnds(), counters, settings.counted(),
                settings.transmitWait().plus(settings.handshakeWait()).plusSeconds(10));
        cycle = sleeper ? new SleepCycle(threads.timers(), settings.awake(), settings.sleep(), radio,
                () -> machine.isRegistered() && !sender.isBusy() && !logSender.isBusy() && !machine.isBusy()
                        && !firmware.isBusy(),
                this::fellAsleep, this::awoke) : null;
        int port = settings.firstPort() == 0 ? 0 : settings.firstPort() + number - 1;
        RequestGate gate = new RequestGate(faults, this, this::later, new Victim());
        endpoints = new DeviceEndpoints(threads, context.configuration(), radio, port, new Traffic(),
                new TappedTranslator(gate, firmware, this::later));
        location = new LocationInstance(number % VEHICLES == 2, clock, random, counters);
        List<LwM2mObjectEnabler> objects = new ArrayList<>(List.of(object(context, 0, "1.1", security(credentials)),
                object(context, 1, "1.1", account),
                object(context, 3, "1.1", device), object(context, 4, "1.1", connectivity),
                object(context, 5, settings.firmware().objectVersion(), firmware.instances()),
                object(context, 6, "1.0", location),
                object(context, 3303, "1.1", temperature), object(context, 3304, "1.1", humidity),
                object(context, 3306, "1.1", actuator), object(context, 3311, "1.0", light)));
        if (settings.testObject()) {
            objects.add(new TestObject(context.testModel(), counters, this::later));
        }
        logInstance = settings.logs().on() ? new LogInstance(log.ring(), account::isMuted, counters, this::later)
                : null;
        if (logInstance != null) {
            objects.add(FixedObject.of(context.models().nearest(LogInstance.OBJECT, "1.0"),
                    logInstance));
        }
        client = build(context, objects);
    }

    private static LwM2mObjectEnabler object(FleetContext context, int id, String version,
            LwM2mInstanceEnabler... instances) {
        return FixedObject.of(context.models().nearest(id, version), instances);
    }

    private Security security(Credentials credentials) {
        String uri = settings.server().toString();
        if (credentials instanceof Credentials.PreSharedKey psk) {
            return Security.psk(uri, SHORT_SERVER_ID, psk.identity().getBytes(StandardCharsets.UTF_8), psk.key());
        }
        if (credentials instanceof Credentials.Certificate x509) {
            return Security.x509(uri, SHORT_SERVER_ID, x509.certificate(), x509.key(), x509.authority(),
                    CertificateUsage.TRUST_ANCHOR_ASSERTION.code);
        }
        return Security.noSec(uri, SHORT_SERVER_ID);
    }

    private LeshanClient build(FleetContext context, List<LwM2mObjectEnabler> objects) {
        LeshanClientBuilder builder = new LeshanClientBuilder(endpoint);
        builder.setObjects(objects);
        builder.setSharedExecutor(threads.timers());
        builder.setEncoder(context.encoder());
        builder.setDecoder(context.decoder());
        builder.setLinkFormatHelper(new LinkFormatHelper(LwM2mVersion.V1_1));
        builder.setEndpointsProviders(endpoints);
        builder.setRegistrationEngineFactory((name, tree, manager, uplink, bootstrap, observer, attributes,
                bootstrapAttributes, formats, executor, links, servers) -> {
            machine = new RegistrationMachine(endpoint, settings, sleeper, tree, manager, uplink, executor, links,
                    servers, formats, account::lifetime, new Registration());
            Duration answerTimeout = settings.transmitWait().plus(settings.handshakeWait()).plusSeconds(5);
            sender = new SampleSender(uplink, answerTimeout, () -> isSentTwice(TEMPERATURE_FAULTS), counters, new Sends());
            logSender = new LogSender(log.ring(), uplink, answerTimeout, () -> isSentTwice(LOG_FAULTS),
                    counters, new LogSends());
            return machine;
        });
        return builder.build();
    }

    /** Registers, and begins to measure. */
    void start() {
        log.restart();
        log.voice().boot("power on", firmware.version());
        log.start();
        client.start();
        long interval = settings.interval().toNanos();
        // not all devices at the same moment
        long first = (long) (interval * Math.random());
        valueTimer = threads.timers().scheduleAtFixedRate(this::tick, first, interval, TimeUnit.NANOSECONDS);
        if (!settings.counted()) {
            long period = HOUSEKEEPING.toMillis();
            housekeepingTimer = threads.timers().scheduleAtFixedRate(this::housekeeping,
                    (long) (period * Math.random()), period, TimeUnit.MILLISECONDS);
            movingTimer = threads.timers().scheduleAtFixedRate(this::move, (long) (MOVING.toMillis() * Math.random()),
                    MOVING.toMillis(), TimeUnit.MILLISECONDS);
        }
    }

    private void tick() {
        try {
            if (sleeper || settings.send()) {
                collect();
                if (!sleeper) {
                    flush();
                }
            } else if (machine.isRegistered()) {
                notifier.due();
            } else if (!settings.counted()) {
                measure(false);
            }
        } catch (RuntimeException e) {
            LOG.error("{}: a value was not reported", endpoint, e);
        }
    }

    /** Brings what was collected, unless the server wants no Send. */
    private void flush() {
        if (!account.isMuted()) {
            sender.flush(machine.currentServer());
        }
    }

    /** Brings log lines; while the server wants no Send it is told that there is something to read. */
    private void flushLog() {
        LwM2mServer server = machine.currentServer();
        if (server == null || isAsleep()) {
            // they go when the device is back
            return;
        }
        if (!account.isMuted()) {
            logSender.flush(server);
        } else if (log.ring().size() > 0) {
            logInstance.changed(LogInstance.LOG_DATA);
        }
    }

    /** A value for the next Send. */
    private void collect() {
        if (settings.counted() && sender.isFull()) {
            // a counter with a hole would look like a loss: rather wait
            return;
        }
        measure(false);
        Instant time = clock.stamp();
        collect(time, TEMPERATURE, temperature.value());
        if (measureHumidity() != null) {
            collect(time, HUMIDITY, humidity.value());
        }
    }

    private void collect(Instant time, LwM2mPath path, double value) {
        sender.collect(new SampleSender.Sample(time, path, value));
        if (faults.next(path.toString(), null, fault -> fault.kind() == Fault.Kind.CONFLICT) != null) {
            sender.collect(new SampleSender.Sample(time, path, value + 1));
        }
    }

    /** What a sensor makes of the truth, where a fault wants something else. */
    private double sensed(String path, double truth) {
        Fault fault = faults.next(path, null, candidate -> candidate.kind() == Fault.Kind.VALUE
                && (candidate.number() == 0 || ticks % candidate.number() == 0));
        return fault == null ? truth : Double.parseDouble(fault.text());
    }

    private boolean isSentTwice(String path) {
        return faults.next(path, null, fault -> fault.kind() == Fault.Kind.TWICE) != null;
    }

    /** A value for the observers. */
    private void nextValue(boolean repeat) {
        if (settings.counted()) {
            if (!repeat) {
                measure(false);
            }
            temperature.changed(SensorInstance.VALUE);
            return;
        }
        temperature.changed(measure(repeat));
        int[] humidityChanged = measureHumidity();
        if (humidityChanged != null) {
            humidity.changed(humidityChanged);
        }
    }

    /** The next temperature, or the next number. Returns the resources that changed. */
    private synchronized int[] measure(boolean repeat) {
        Instant now = clock.now();
        if (repeat) {
            return temperature.measure(temperature.value(), now);
        }
        counters.produced.incrementAndGet();
        ticks++;
        double value = settings.counted() ? ++counter : sensed(TEMPERATURE_FAULTS, climate.temperature(now));
        return temperature.measure(value, now);
    }

    /** Every fifth interval, but not more often than every ten seconds; never beside a counter. Else null. */
    private synchronized int[] measureHumidity() {
        long every = Math.max(5, HUMIDITY_AT_LEAST.dividedBy(settings.interval()));
        if (settings.counted() || ticks % every != 1) {
            return null;
        }
        counters.produced.incrementAndGet();
        Instant now = clock.now();
        return humidity.measure(sensed(HUMIDITY_FAULTS, climate.humidity(now)), now);
    }

    private void housekeeping() {
        try {
            long messages = counters.sent.get() + counters.sends.get();
            int[] changed = device.age(HOUSEKEEPING.toSeconds(), messages - messagesBefore);
            messagesBefore = messages;
            int[] signal = connectivity.age();
            // a sleeper says with its next Send what it has to say, it does not wake for its battery level
            if (!sleeper && machine.isRegistered()) {
                device.changed(changed);
                connectivity.changed(signal);
                light.changed(light.age());
                actuator.changed(actuator.age());
            }
        } catch (RuntimeException e) {
            LOG.error("{}: housekeeping failed", endpoint, e);
        }
    }

    private void move() {
        try {
            if (!sleeper && machine.isRegistered()) {
                location.move();
            }
        } catch (RuntimeException e) {
            LOG.error("{}: the position was not reported", endpoint, e);
        }
    }

    @Override
    public void notification(Response notification, String path) {
        boolean value = path.isEmpty() || TEMPERATURE.startWith(new LwM2mPath("/" + path));
        notifier.track(notification, value);
    }

    private void fellAsleep() {
        LOG.debug("{}: asleep", endpoint);
        log.voice().asleep();
    }

    private void awoke() {
        LOG.debug("{}: awake", endpoint);
        log.voice().awake();
        counters.wakes.incrementAndGet();
        log.flushWithin(Duration.ZERO);
        if (account.isMuted()) {
            machine.triggerRegistrationUpdate();
        } else {
            flush();
        }
    }

    private void later(Runnable task) {
        later(task, Duration.ZERO);
    }

    private void later(Runnable task, Duration pause) {
        try {
            threads.timers().schedule(task, pause.toMillis(), TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            LOG.debug("{}: going down", endpoint);
        }
    }

    private String localAddress() {
        var address = endpoints.localAddress();
        return address == null ? "" : address.getAddress().getHostAddress();
    }

    private void restart(boolean toFactorySettings) {
        String cause = toFactorySettings ? "factory reset" : "reboot";
        LOG.info("{}: {}", endpoint, cause);
        powerOff();
        if (toFactorySettings) {
            log.factorySettings();
            device.factorySettings();
            account.factorySettings();
            light.factorySettings();
            actuator.factorySettings();
            temperature.factoryReset();
            humidity.factoryReset();
            firmware.restarted();
        } else {
            loseMemory();
        }
        log.voice().boot(cause, firmware.version());
        machine.restart(settings.boot());
    }

    private void powerOff() {
        radio.set(false);
        if (cycle != null) {
            cycle.stop();
        }
        resetClock();
        log.restart();
    }

    /** What the clock shows at a start. */
    private void resetClock() {
        Fault start = faults.next(CLOCK_FAULTS, null, fault -> fault.kind() == Fault.Kind.CLOCK);
        Fault drift = faults.next(CLOCK_FAULTS, null, fault -> fault.kind() == Fault.Kind.DRIFT);
        clock.reset(start == null ? null : DeviceClock.parse(start.text()),
                drift == null ? 0 : Double.parseDouble(drift.text()));
    }

    /** What is not in flash memory. */
    private void loseMemory() {
        device.restarted();
        light.restarted();
        actuator.restarted();
        temperature.resetMinMax();
        humidity.resetMinMax();
        firmware.restarted();
    }

    /** Ends the device's own activity. @return done when the server knows, or need not know */
    CompletableFuture<Void> stop(boolean deregister) {
        for (Future<?> timer : new Future<?>[] { valueTimer, housekeepingTimer, movingTimer }) {
            if (timer != null) {
                timer.cancel(false);
            }
        }
        notifier.stop();
        log.stop();
        if (cycle != null) {
            cycle.stop();
        }
        if (deregister) {
            radio.set(true);
            return machine.deregister();
        }
        machine.stop(false);
        return CompletableFuture.completedFuture(null);
    }

    /** Whether nothing that the device said waits for its acknowledgement. */
    boolean isQuiet() {
        return notifier.isQuiet() && !sender.isBusy() && !logSender.isBusy();
    }

    /** Frees the sockets. */
    void destroy() {
        firmware.destroy();
        client.destroy(false);
    }

    String endpoint() {
        return endpoint;
    }

    boolean isRegistered() {
        return machine.isRegistered();
    }

    boolean isAsleep() {
        return cycle != null && cycle.isAsleep();
    }

    /** Whether the server wants no Send. */
    boolean isMuted() {
        return account.isMuted();
    }

    /** Of the registration, in seconds, as the server wants it. */
    long lifetime() {
        return account.lifetime();
    }

    /** Why the last registration failed; null while all is well. */
    String refusal() {
        return refusal;
    }

    Counters counters() {
        return counters;
    }

    DeviceLog log() {
        return log;
    }

    /** What became of the log; null for a device without one. */
    Map<String, Object> logs() {
        return log.figures();
    }

    /** What happened to each instance of object 5. */
    List<Map<String, Object>> firmware() {
        return firmware.figures();
    }

    private final class Registration implements RegistrationMachine.Listener {
        @Override
        public void registering() {
            radio.set(true);
            if (cycle != null) {
                cycle.stop();
            }
            endpoints.forgetObservations();
            notifier.reset();
            log.voice().registering();
        }

        @Override
        public void registered(String registrationId) {
            counters.registrations.incrementAndGet();
            refusal = null;
            LOG.info("{}: registered as {}", endpoint, registrationId);
            log.voice().registered(registrationId, account.lifetime());
            logSender.registered();
            log.flushWithin(Duration.ZERO);
            if (cycle != null) {
                cycle.start();
            }
            if (settings.send()) {
                flush();
            }
            firmware.registered();
        }

        @Override
        public void updated() {
            LOG.debug("{}: registration updated", endpoint);
            log.voice().updated();
        }

        @Override
        public void refused(String reason, Duration pause) {
            counters.refusals.incrementAndGet();
            refusal = reason;
            log.voice().refused(reason, pause.toMillis());
            LOG.info("{}: refused: {}; next try in {} s", endpoint, reason,
                    String.format("%.1f", pause.toMillis() / 1000.0));
        }

        @Override
        public void lost(String reason) {
            counters.losses.incrementAndGet();
            log.voice().lost(reason);
            LOG.info("{}: lost: {}", endpoint, reason);
        }
    }

    private final class NotificationEnds implements ValueNotifier.Listener {
        @Override
        public void unanswered() {
            machine.lost("no answer to a notification");
        }

        @Override
        public void rejected() {
            // cancelled by the server, or the server has forgotten everything: the Update's answer tells
            machine.triggerRegistrationUpdate();
        }
    }

    private final class Sends implements SampleSender.Listener {
        @Override
        public void unanswered(String reason) {
            machine.lost(reason);
        }

        @Override
        public void refused(String reason) {
            LOG.info("{}: {}", endpoint, reason);
            machine.triggerRegistrationUpdate();
        }

        @Override
        public void drained() {
            if (sleeper) {
                machine.triggerRegistrationUpdate();
            }
        }
    }

    private final class LogSends implements LogSender.Listener {
        @Override
        public void unanswered(String reason) {
            machine.lost(reason);
        }

        @Override
        public void refused(String reason) {
            LOG.info("{}: {}", endpoint, reason);
            machine.triggerRegistrationUpdate();
        }
    }

    /** What the log tells of. */
    private final class Senses implements LogVoice.Senses {

        private final Battery battery;

        Senses(Battery battery) {
            this.battery = battery;
        }

        @Override
        public double temperature() {
            return temperature.value();
        }

        @Override
        public double humidity() {
            return humidity.value();
        }

        @Override
        public int batteryLevel() {
            return battery.level();
        }

        @Override
        public int batteryMillivolts() {
            return battery.millivolts();
        }

        @Override
        public int signal() {
            return connectivity.signal();
        }
    }

    private final class Actions implements DeviceInstance.Actions {
        @Override
        public void reboot() {
            leave("reboot, as the server wants it");
            Device.this.later(() -> restart(false), BEFORE_REBOOT);
        }

        @Override
        public void clockSet(Instant time) {
            log.voice().clockSet(time.toString());
        }

        @Override
        public void factoryReset() {
            leave("factory reset, as the server wants it");
            Device.this.later(() -> restart(true), BEFORE_REBOOT);
        }

        /** What is not sent now is lost. */
        private void leave(String lastWords) {
            log.voice().rebooting(lastWords);
            log.flushWithin(Duration.ZERO);
        }

        @Override
        public void later(Runnable task) {
            Device.this.later(task);
        }
    }

    private final class AccountActions implements ServerInstance.Actions {
        @Override
        public void update() {
            machine.triggerRegistrationUpdate();
        }

        @Override
        public void unmuted() {
            Device.this.later(Device.this::flush);
        }

        @Override
        public void later(Runnable task) {
            Device.this.later(task);
        }
    }

    private final class Host implements FirmwareInstance.Host {
        @Override
        public void later(Runnable task, Duration pause) {
            Device.this.later(task, pause);
        }

        @Override
        public PackageDownload download(URI from, PackageDownload.Receiver receiver) {
            InetSocketAddress address = DeviceEndpoints.address(from);
            Radio own = new Radio(threads.radios(), threads.air(), settings.roundTrip().dividedBy(2));
            return new PackageDownload(endpoints.line(from, own), Device.this::later,
                    () -> PackageDownload.request(from, address), settings.firmware().blockSize(), receiver);
        }

        @Override
        public void reboot() {
            restart(false);
        }

        @Override
        public void log(LogSeverity severity, String text) {
            log.voice().firmware(severity, text);
        }

        @Override
        public void vanish(Duration absence) {
            new Victim().vanish(absence);
        }
    }

    private final class Victim implements RequestGate.Victim {
        @Override
        public void vanish(Duration absence) {
            LOG.info("{}: gone in the middle of a request, for {} s", endpoint, absence.toMillis() / 1000.0);
            powerOff();
            loseMemory();
            log.voice().boot("power lost", firmware.version());
            machine.restart(absence);
        }

        @Override
        public void registerAgain() {
            LOG.info("{}: registers again in the middle of a request", endpoint);
            machine.registerAgain();
        }
    }

    /** Every message keeps a sleeper awake. */
    private final class Traffic implements MessageInterceptor {

        private void seen() {
            if (cycle != null) {
                cycle.traffic();
            }
        }

        @Override
        public void sendRequest(Request request) {
            seen();
        }

        @Override
        public void sendResponse(Response response) {
            seen();
        }

        @Override
        public void sendEmptyMessage(EmptyMessage message) {
            seen();
        }

        @Override
        public void receiveRequest(Request request) {
            if (firmware.loses(request)) {
                request.setCanceled(true);
            }
            seen();
        }

        @Override
        public void receiveResponse(Response response) {
            seen();
        }

        @Override
        public void receiveEmptyMessage(EmptyMessage message) {
            seen();
        }
    }
}
