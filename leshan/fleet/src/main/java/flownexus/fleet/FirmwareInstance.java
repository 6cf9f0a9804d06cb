package flownexus.fleet;

import java.net.URI;
import java.net.URISyntaxException;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.core.util.datatype.ULong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * An instance of Firmware Update (5, version 1.0 or 1.1): takes a package by push or pull, installs it with a reboot, and
 * misbehaves as a {@link Fault} wants. Of a package only the hash and the beginning are kept.
 */
final class FirmwareInstance extends SimulatedInstance {

    static final int PACKAGE = 0;
    private static final int PACKAGE_URI = 1;
    private static final int UPDATE = 2;
    private static final int STATE = 3;
    private static final int UPDATE_RESULT = 5;
    private static final int PACKAGE_NAME = 6;
    private static final int PACKAGE_VERSION = 7;
    private static final int PROTOCOLS = 8;
    private static final int DELIVERY_METHOD = 9;
    private static final int CANCEL = 10;
    private static final int SEVERITY = 11;
    private static final int LAST_STATE_CHANGE = 12;
    private static final int MAX_DEFER_PERIOD = 13;

    static final int PULL_ONLY = 0;
    static final int PUSH_ONLY = 1;

    private static final int INITIAL = 0;
    private static final int SUCCESS = 1;
    private static final int NO_FLASH = 2;
    private static final int NO_RAM = 3;
    static final int CONNECTION_LOST = 4;
    private static final int INTEGRITY_FAILURE = 5;
    private static final int UNSUPPORTED_PACKAGE = 6;
    static final int INVALID_URI = 7;
    private static final int UPDATE_FAILED = 8;
    static final int UNSUPPORTED_PROTOCOL = 9;
    private static final int CANCELLED = 10;
    private static final int DEFERRED = 11;

    /** In the order of the protocols' numbers (resource 8). */
    private static final String[] SCHEMES = { "coap", "coaps", "http", "https" };
    /** A push that stands still for so long is over: CoAP's EXCHANGE_LIFETIME (RFC 7252, 4.8.2). */
    private static final Duration PATIENCE = Duration.ofSeconds(247);
    private static final Duration CLEARED_POLL = Duration.ofMillis(200);

    private static final Logger LOG = LoggerFactory.getLogger(FirmwareInstance.class);

    /** The device that the firmware runs on. Called with the instance's lock held: must not block. */
    interface Host {
        void later(Runnable task, Duration pause);

        /** A fetch that is yet to be begun. @throws IllegalArgumentException the device has no credentials for it */
        PackageDownload download(URI from, PackageDownload.Receiver receiver);

        void reboot();

        /** Says something in the device's own log. */
        void log(LogSeverity severity, String text);

        void vanish(Duration absence);
    }

    /** In the order of the resource's values. */
    private enum State {
        IDLE, DOWNLOADING, DOWNLOADED, UPDATING
    }

    /** A package on its way. */
    private static final class Transfer {
        private final FirmwarePackage content = new FirmwarePackage();
        private final boolean pushed;
        private final Fault fault;
        private final Duration pace;
        private PackageDownload download;
        /** Of the next block of a push in the body, which may have a header. */
        private long offset;
        private long lastNanos = System.nanoTime();
        private long silentSince;
        /** Nothing more is wanted of it. */
        private boolean done;

        Transfer(boolean pushed, Fault fault, Duration pace) {
            this.pushed = pushed;
            this.fault = fault;
            this.pace = pace;
        }

        boolean has(Fault.Kind kind) {
            return fault != null && fault.kind() == kind;
        }
    }

    /**
     * What a block of a push is answered with.
     *
     * @param code null: nothing
     * @param pause before it
     */
    record Answer(ResponseCode code, String message, Duration pause) {

        private static Answer refusal(ResponseCode code, String message) {
            return new Answer(code, message, Duration.ZERO);
        }
    }

    private final String endpoint;
    private final String path;
    private final String name;
    private final Settings.Firmware settings;
    private final DeviceFaults faults;
    private final Counters counters;
    private final Host host;

    private State state = State.IDLE;
    private int result = INITIAL;
    private String uri = "";
    private String version;
    private Instant stateChange = Instant.now();
    private long severity = 1;
    private ULong maxDeferPeriod = ULong.valueOf(0L);
    private Transfer transfer;
    /** What would be installed; null unless there is something. */
    private FirmwarePackage.Complete ready;
    private FirmwarePackage.Complete last;
    private Fault installationFault;
    /** Of the installation under way; another one is another object. */
    private Object installation;
    /** The version that the next reboot brings back; null: the running one is confirmed. */
    private String before;
    private Duration rollbackAfter;
    /** False while the observers are not to be told. */
    private boolean inTouch = true;
    private long pushes;
    private long pulls;
    private long executes;
    private long installs;

    FirmwareInstance(int id, String name, String endpoint, Settings.Firmware settings, DeviceFaults faults,
            Counters counters, Host host) {
        super(id, counters);
        this.endpoint = endpoint;
        this.path = "/5/" + id;
        this.name = name;
        this.settings = settings;
        this.faults = faults;
        this.counters = counters;
        this.host = host;
        version = settings.version();
        // block-wise writes do not come this way; a package in a write to the whole instance does
        writes(PACKAGE, this::writeWhole);
        reads(PACKAGE_URI, () -> ReadResponse.success(PACKAGE_URI, uri()));
        writes(PACKAGE_URI, this::writeUri);
        executes(UPDATE, this::update);
        reads(STATE, () -> ReadResponse.success(STATE, (long) reportedState()));
        reads(UPDATE_RESULT, () -> ReadResponse.success(UPDATE_RESULT, (long) result()));
        reads(PACKAGE_NAME, () -> ReadResponse.success(PACKAGE_NAME, name));
        reads(PACKAGE_VERSION, () -> ReadResponse.success(PACKAGE_VERSION, version()));
        Map<Integer, Long> protocols = new TreeMap<>();
        settings.protocols().forEach(protocol -> protocols.put(protocols.size(), (long) protocol));
        reads(PROTOCOLS, () -> ReadResponse.success(PROTOCOLS, protocols, Type.INTEGER));
        reads(DELIVERY_METHOD, () -> ReadResponse.success(DELIVERY_METHOD, (long) settings.method()));
        if (!settings.objectVersion().equals("1.0")) {
            describeVersion11();
        }
    }

    private void describeVersion11() {
        executes(CANCEL, this::cancel);
        reads(SEVERITY, () -> ReadResponse.success(SEVERITY, severity()));
        writes(SEVERITY, value -> {
            if (!(value.getValue() instanceof Long wanted) || wanted < 0 || wanted > 2) {
                return WriteResponse.badRequest("0 to 2 is expected");
            }
            setSeverity(wanted);
            return WriteResponse.success();
        });
        reads(LAST_STATE_CHANGE, () -> ReadResponse.success(LAST_STATE_CHANGE, Date.from(stateChange())));
        reads(MAX_DEFER_PERIOD, () -> ReadResponse.success(MAX_DEFER_PERIOD, maxDeferPeriod()));
        writes(MAX_DEFER_PERIOD, value -> {
            if (!(value.getValue() instanceof ULong wanted)) {
                return WriteResponse.badRequest("a number of seconds is expected");
            }
            setMaxDeferPeriod(wanted);
            return WriteResponse.success();
        });
    }

    // ---- push

    private WriteResponse writeWhole(LwM2mResource value) {
        if (!(value.getValue() instanceof byte[] content)) {
            return WriteResponse.badRequest("an opaque value is expected");
        }
        Answer answer = push(0, content.length, content, false);
        if (answer.code() == null) {
            return WriteResponse.internalServerError("the device is about to vanish");
        }
        return new WriteResponse(org.eclipse.leshan.core.ResponseCode
                .fromCode(answer.code().codeClass * 100 + answer.code().codeDetail), answer.message());
    }

    /**
     * Takes a block of a package.
     *
     * @param offset of the block in the body; 0 begins anew
     * @param length of the block in the body
     * @param data the block without the header that its format may have
     */
    synchronized Answer push(long offset, int length, byte[] data, boolean more) {
        if (state == State.UPDATING) {
            return Answer.refusal(ResponseCode.METHOD_NOT_ALLOWED, "an update is under way");
        }
        if (offset == 0) {
            if (!more && isNothing(data)) {
                idle(INITIAL);
                counters.writes.incrementAndGet();
                counters.operations.writtenBytes(getResourcePath(PACKAGE).toString(), data.length);
                return Answer.refusal(ResponseCode.CHANGED, null);
            }
            if (settings.method() == PULL_ONLY) {
                return Answer.refusal(ResponseCode.METHOD_NOT_ALLOWED, "packages are fetched from a Package URI only");
            }
            if (state == State.DOWNLOADED || transfer != null && !transfer.pushed) {
                return Answer.refusal(ResponseCode.BAD_REQUEST, occupied());
            }
            pushes++;
            begin(true);
        } else if (transfer == null || !transfer.pushed || transfer.done) {
            return Answer.refusal(ResponseCode.REQUEST_ENTITY_INCOMPLETE, "no transfer is under way");
        } else if (more && offset + length == transfer.offset) {
            // sent again because our answer was lost
            return new Answer(ResponseCode.CONTINUE, null, transfer.pace);
        } else if (offset != transfer.offset) {
            return Answer.refusal(ResponseCode.REQUEST_ENTITY_INCOMPLETE,
                    "the next byte is " + transfer.offset + ", not " + offset);
        }
        Transfer current = transfer;
        if (current.has(Fault.Kind.SILENT_AT) && offset == 0 && length > current.fault.number()) {
            current.silentSince = System.nanoTime();
            return Answer.refusal(null, null);
        }
        current.offset = offset + length;
        ResponseCode refusal = take(current, data, more);
        return refusal != null ? Answer.refusal(refusal, "the package cannot be taken")
                : isVanishing(current) ? Answer.refusal(null, null)
                        : new Answer(more ? ResponseCode.CONTINUE : ResponseCode.CHANGED, null, current.pace);
    }

    /** LwM2M 1.1, E.6: an empty value or NULL resets the state machine. */
    private static boolean isNothing(byte[] data) {
        return data.length == 0 || data.length == 1 && data[0] == 0;
    }

    private String occupied() {
        return state == State.DOWNLOADED ? "there is a package already: reset first" : "a transfer is under way";
    }

    /** Whether a block of a push is lost, for a fault's sake: before CoAP notices it, so that it may be repeated. */
    synchronized boolean loses(long offset, int length) {
        Transfer current = transfer;
        if (current == null || !current.pushed || !current.has(Fault.Kind.SILENT_AT)
                || offset + length <= current.fault.number() || isCleared(current)) {
            return false;
        }
        LOG.debug("{}: {} is silent at byte {}", endpoint, path, offset);
        return true;
    }

    private boolean isCleared(Transfer silent) {
        if (silent.silentSince == 0) {
            silent.silentSince = System.nanoTime();
        }
        Duration most = silent.fault.seconds();
        silent.lastNanos = System.nanoTime();
        return !most.isZero() && System.nanoTime() - silent.silentSince > most.toNanos()
                || !faults.isPlanned(silent.fault);
    }

    // ---- both ways

    private void begin(boolean pushed) {
        Predicate<Fault> concerned = fault -> fault.kind().stage() == Fault.Stage.DELIVERY
                && (!pushed || fault.kind() != Fault.Kind.URI && fault.kind() != Fault.Kind.PROTOCOL);
        Fault fault = faults.next(path, null, concerned);
        Fault pace = faults.next(path, null, candidate -> candidate.kind().stage() == Fault.Stage.PACE);
        transfer = new Transfer(pushed, fault, pace == null ? Duration.ZERO : pace.seconds());
        ready = null;
        set(State.DOWNLOADING, INITIAL);
        LOG.info("{}: {} begins to {} a package", endpoint, path, pushed ? "receive" : "fetch");
        host.log(LogSeverity.INFO, name + ": image transfer begins by " + (pushed ? "push" : "pull"));
        watch(transfer, PATIENCE);
    }

    /** Ends a push of which nothing more is heard. A fetch has CoAP's own timeouts. */
    private void watch(Transfer watched, Duration pause) {
        if (watched.pushed) {
            host.later(() -> {
                synchronized (this) {
                    if (transfer != watched || watched.done) {
                        return;
                    }
                    Duration left = PATIENCE.minusNanos(System.nanoTime() - watched.lastNanos);
                    if (left.compareTo(Duration.ZERO) > 0) {
                        watch(watched, left);
                    } else {
                        idle(CONNECTION_LOST);
                    }
                }
            }, pause);
        }
    }

    /** Takes the next piece. @return how to refuse it; null: taken, or the device is about to vanish */
    private ResponseCode take(Transfer current, byte[] data, boolean more) {
        current.lastNanos = System.nanoTime();
        long end = current.content.size() + data.length;
        if (current.has(Fault.Kind.LOST) && end > current.fault.number()) {
            current.done = true;
            host.later(() -> host.vanish(current.fault.seconds()), Duration.ZERO);
            return null;
        }
        if (current.has(Fault.Kind.NO_SPACE)) {
            idle(NO_FLASH);
            return ResponseCode.REQUEST_ENTITY_TOO_LARGE;
        }
        if (current.has(Fault.Kind.NO_MEMORY) && (current.content.size() > 0 || !more)) {
            idle(NO_RAM);
            return ResponseCode.INTERNAL_SERVER_ERROR;
        }
        current.content.add(data);
        if (!more) {
            complete(current);
        }
        return null;
    }

    private boolean isVanishing(Transfer current) {
        return transfer == current && current.done && current.has(Fault.Kind.LOST);
    }

    private void complete(Transfer current) {
        current.done = true;
        last = current.content.complete();
        if (current.pushed) {
            counters.writes.incrementAndGet();
            counters.operations.writtenBytes(getResourcePath(PACKAGE).toString(), last.size());
        }
        LOG.info("{}: {} has a package of {} bytes, version {}", endpoint, path, last.size(), last.version());
        host.log(LogSeverity.INFO, name + ": image complete, " + last.size() + " bytes, version " + last.version());
        if (current.has(Fault.Kind.INTEGRITY)) {
            idle(INTEGRITY_FAILURE);
        } else if (current.has(Fault.Kind.UNSUPPORTED)) {
            idle(UNSUPPORTED_PACKAGE);
        } else if (!current.has(Fault.Kind.HANG_1)) {
            ready = last;
            transfer = null;
            set(State.DOWNLOADED, INITIAL);
        }
    }

    /** Nothing on its way, nothing to install. */
    private void idle(int newResult) {
        endTransfer(false);
        ready = null;
        uri = "";
        set(State.IDLE, newResult);
    }

    /** @param quietly without a word to the peer */
    private void endTransfer(boolean quietly) {
        Transfer ended = transfer;
        transfer = null;
        if (ended != null) {
            ended.done = true;
            if (ended.download != null) {
                ended.download.close(quietly);
            }
        }
    }

    private void set(State newState, int newResult) {
        boolean moved = state != newState;
        boolean judged = result != newResult;
        state = newState;
        result = newResult;
        if (moved) {
            stateChange = Instant.now();
            LOG.info("{}: {} State {}, Result {}", endpoint, path, state.ordinal(), result);
        }
        if (moved || judged) {
            host.log(result > SUCCESS ? LogSeverity.ERROR : LogSeverity.INFO,
                    name + ": state " + state.ordinal() + ", result " + result);
        }
        int[] told = moved && judged ? new int[] { STATE, UPDATE_RESULT }
                : moved ? new int[] { STATE } : judged ? new int[] { UPDATE_RESULT } : new int[0];
        if (moved && !settings.objectVersion().equals("1.0")) {
            told = Arrays.copyOf(told, told.length + 1);
            told[told.length - 1] = LAST_STATE_CHANGE;
        }
        int[] resources = told;
        if (inTouch) {
            host.later(() -> changed(resources), Duration.ZERO);
        }
    }

    // ---- pull

    private synchronized WriteResponse writeUri(LwM2mResource value) {
        if (!(value.getValue() instanceof String text)) {
            return WriteResponse.badRequest("a URI is expected");
        }
        if (state == State.UPDATING) {
            return WriteResponse.methodNotAllowed();
        }
        if (text.isEmpty()) {
            idle(INITIAL);
            return WriteResponse.success();
        }
        if (settings.method() == PUSH_ONLY) {
            return WriteResponse.methodNotAllowed();
        }
        if (state == State.DOWNLOADED || transfer != null) {
            return WriteResponse.badRequest(occupied());
        }
        pulls++;
        uri = text;
        begin(false);
        Transfer begun = transfer;
        // the answer comes first
        host.later(() -> fetch(begun, text), Duration.ZERO);
        return WriteResponse.success();
    }

    private synchronized void fetch(Transfer begun, String from) {
        if (transfer != begun) {
            return;
        }
        URI target;
        try {
            target = new URI(from);
        } catch (URISyntaxException e) {
            fail(begun, INVALID_URI, e.getMessage());
            return;
        }
        int protocol = Arrays.asList(SCHEMES).indexOf(target.getScheme());
        if (begun.has(Fault.Kind.URI) || target.getScheme() == null) {
            fail(begun, INVALID_URI, "not a URI with a scheme");
            return;
        }
        // the simulation speaks no HTTP, whatever it announces
        if (begun.has(Fault.Kind.PROTOCOL) || !settings.protocols().contains(protocol) || protocol > 1) {
            fail(begun, UNSUPPORTED_PROTOCOL, target.getScheme());
            return;
        }
        if (target.getHost() == null) {
            fail(begun, INVALID_URI, "no host");
            return;
        }
        try {
            begun.download = host.download(target, new Fetched(begun));
            begun.download.next();
        } catch (IllegalArgumentException e) {
            fail(begun, UNSUPPORTED_PROTOCOL, e.getMessage());
        }
    }

    private synchronized void fail(Transfer failed, int newResult, String reason) {
        if (transfer == failed && !failed.done) {
            LOG.info("{}: {} did not get its package: {}", endpoint, path, reason);
            host.log(LogSeverity.WARNING, name + ": fetching failed: " + reason);
            idle(newResult);
        }
    }

    private synchronized void fetched(Transfer current, byte[] data, boolean more) {
        if (transfer != current || current.done || take(current, data, more) != null || current.done) {
            if (!isVanishing(current)) {
                current.download.close(false);
            }
            return;
        }
        if (current.has(Fault.Kind.SILENT_AT) && current.content.size() > current.fault.number()) {
            awaitCleared(current);
        } else {
            goOn(current, current.pace);
        }
    }

    private void awaitCleared(Transfer silent) {
        if (transfer != silent || silent.done) {
            return;
        }
        if (isCleared(silent)) {
            goOn(silent, Duration.ZERO);
            return;
        }
        host.later(() -> {
            synchronized (this) {
                awaitCleared(silent);
            }
        }, CLEARED_POLL);
    }

    private void goOn(Transfer current, Duration pause) {
        if (pause.isZero()) {
            current.download.next();
        } else {
            host.later(current.download::next, pause);
        }
    }

    private final class Fetched implements PackageDownload.Receiver {

        private final Transfer transfer;

        Fetched(Transfer transfer) {
            this.transfer = transfer;
        }

        @Override
        public void received(byte[] block, boolean more) {
            fetched(transfer, block, more);
        }

        @Override
        public void failed(int newResult, String reason) {
            fail(transfer, newResult, reason);
        }
    }

    // ---- installation

    private synchronized ExecuteResponse update() {
        if (state != State.DOWNLOADED) {
            return ExecuteResponse.methodNotAllowed();
        }
        executes++;
        Fault fault = faults.next(path, null, candidate -> candidate.kind().stage() == Fault.Stage.INSTALLATION);
        Fault.Kind kind = fault == null ? null : fault.kind();
        if (kind == Fault.Kind.HANG_2) {
            return ExecuteResponse.success();
        }
        if (kind == Fault.Kind.DEFERRED) {
            set(State.DOWNLOADED, DEFERRED);
            return ExecuteResponse.success();
        }
        installationFault = fault;
        Object begun = new Object();
        installation = begun;
        set(State.UPDATING, INITIAL);
        if (kind != Fault.Kind.HANG_3) {
            host.later(() -> installed(begun), settings.install());
        }
        return ExecuteResponse.success();
    }

    private synchronized void installed(Object begun) {
        if (installation != begun) {
            return;
        }
        if (!endsWithoutReboot()) {
            host.later(host::reboot, Duration.ZERO);
        }
    }

    /** What needs no reboot. @return false: what is left to do does */
    private boolean endsWithoutReboot() {
        if (installationFault == null) {
            return false;
        }
        switch (installationFault.kind()) {
        case INSTALL_FAILED -> idle(UPDATE_FAILED);
        case INSTALL_FAILED_2 -> set(State.DOWNLOADED, UPDATE_FAILED);
        case CANCELLED -> idle(CANCELLED);
        default -> {
            return false;
        }
        }
        installation = null;
        return true;
    }

    /** The device went down, for whatever reason: what was on its way is lost, what was installed runs from now on. */
    synchronized void restarted() {
        inTouch = false;
        try {
            goDown();
        } finally {
            inTouch = true;
        }
    }

    private void goDown() {
        if (before != null) {
            LOG.info("{}: {} rolls back from {} to {}", endpoint, path, version, before);
            host.log(LogSeverity.WARNING, name + ": image " + version + " not confirmed, back to " + before);
            version = before;
            before = null;
        }
        if (state == State.DOWNLOADING) {
            endTransfer(true);
            idle(CONNECTION_LOST);
        } else if (state == State.UPDATING && !endsWithoutReboot()) {
            swap();
        }
    }

    private void swap() {
        Fault.Kind kind = installationFault == null ? null : installationFault.kind();
        if (kind == Fault.Kind.HANG_3) {
            if (!faults.isPlanned(installationFault)) {
                installation = null;
                set(State.DOWNLOADED, INITIAL);
            }
            return;
        }
        installation = null;
        if (kind == Fault.Kind.NO_CHANGE) {
            idle(INITIAL);
            return;
        }
        installs++;
        if (kind == Fault.Kind.ROLLBACK) {
            before = version;
            rollbackAfter = installationFault.seconds();
        }
        if (kind == Fault.Kind.OTHER_VERSION) {
            version = installationFault.text();
        } else if (kind != Fault.Kind.CONSTANT_VERSION) {
            version = ready.version();
        }
        LOG.info("{}: {} runs {}", endpoint, path, version);
        host.log(LogSeverity.INFO, name + ": slots swapped, running " + version);
        idle(SUCCESS);
    }

    /** The device is back in touch. */
    synchronized void registered() {
        if (rollbackAfter != null) {
            Duration pause = rollbackAfter;
            rollbackAfter = null;
            host.later(() -> {
                if (isUnconfirmed()) {
                    host.reboot();
                }
            }, pause);
        }
    }

    private synchronized boolean isUnconfirmed() {
        return before != null;
    }

    private synchronized ExecuteResponse cancel() {
        if (state != State.DOWNLOADING && state != State.DOWNLOADED) {
            return ExecuteResponse.methodNotAllowed();
        }
        idle(CANCELLED);
        return ExecuteResponse.success();
    }

    /** Whether something happens that a device does not sleep over. */
    synchronized boolean isBusy() {
        return state == State.UPDATING && installation != null
                && (installationFault == null || installationFault.kind() != Fault.Kind.HANG_3)
                || transfer != null && !transfer.pushed && !transfer.done;
    }

    /** The end of the device. */
    synchronized void destroy() {
        Transfer ended = transfer;
        transfer = null;
        if (ended != null && ended.download != null) {
            ended.download.destroy();
        }
    }

    // ---- what can be read

    /** As {@link Report} has it; state is the true one. */
    synchronized Map<String, Object> figures() {
        Map<String, Object> figures = new LinkedHashMap<>();
        figures.put("instance", getId());
        figures.put("version", version);
        figures.put("state", state.ordinal());
        figures.put("result", result);
        figures.put("sha256", last == null ? null : last.sha256());
        figures.put("size", last == null ? null : last.size());
        figures.put("received", transfer == null ? 0L : transfer.content.size());
        figures.put("pushes", pushes);
        figures.put("pulls", pulls);
        figures.put("executes", executes);
        figures.put("installs", installs);
        return figures;
    }

    /** Of what runs. */
    synchronized String version() {
        return version;
    }

    private synchronized int reportedState() {
        return state == State.DOWNLOADING && !settings.reportDownloading() ? State.IDLE.ordinal() : state.ordinal();
    }

    private synchronized int result() {
        return result;
    }

    private synchronized String uri() {
        return uri;
    }

    private synchronized Instant stateChange() {
        return stateChange;
    }

    private synchronized long severity() {
        return severity;
    }

    private synchronized void setSeverity(long wanted) {
        severity = wanted;
    }

    private synchronized ULong maxDeferPeriod() {
        return maxDeferPeriod;
    }

    private synchronized void setMaxDeferPeriod(ULong wanted) {
        maxDeferPeriod = wanted;
    }
}
