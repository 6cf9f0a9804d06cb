package flownexus.fleet;

import java.time.Duration;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

import org.eclipse.leshan.client.EndpointsManager;
import org.eclipse.leshan.client.RegistrationUpdate;
import org.eclipse.leshan.client.engine.RegistrationEngine;
import org.eclipse.leshan.client.request.UplinkRequestSender;
import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.resource.LwM2mObjectTree;
import org.eclipse.leshan.client.servers.DmServerInfo;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.client.servers.ServersInfoExtractor;
import org.eclipse.leshan.client.util.LinkFormatHelper;
import org.eclipse.leshan.core.LwM2m.LwM2mVersion;
import org.eclipse.leshan.core.ResponseCode;
import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.request.BindingMode;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.DeregisterRequest;
import org.eclipse.leshan.core.request.RegisterRequest;
import org.eclipse.leshan.core.request.UpdateRequest;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.RegisterResponse;

/**
 * A device's registration: register, update in time, and come back after every loss, for ever, with a growing pause.
 * <p>
 * It takes the place of Leshan's own engine because that one waits for each answer on a thread (thousands of devices
 * would need thousands) and notices a lost server only at the next Update. Here nothing blocks, and whoever sees a
 * confirmable message go unanswered says so with {@link #lost(String)}.
 */
final class RegistrationMachine implements RegistrationEngine {

    /** What the device wants to know. Called without locks held, on protocol or timer threads. */
    interface Listener {
        /** The next registration begins: what the server observed is forgotten (LwM2M 1.1, 6.2.1). */
        void registering();

        void registered(String registrationId);

        void updated();

        /** The server or the handshake said no, or nobody answered; the next try follows after {@code pause}. */
        void refused(String reason, Duration pause);

        /** An established registration is of no use any more; a new one is tried at once. */
        void lost(String reason);
    }

    private enum State {
        STOPPED, REGISTERING, WAITING, REGISTERED
    }

    private final String endpoint;
    private final Settings settings;
    private final boolean queueMode;
    private final Map<Integer, LwM2mObjectEnabler> objects;
    private final EndpointsManager endpoints;
    private final UplinkRequestSender sender;
    private final ScheduledExecutorService timers;
    private final LinkFormatHelper links;
    private final ServersInfoExtractor servers;
    private final Set<ContentFormat> formats;
    private final LongSupplier lifetime;
    private final Listener listener;

    private State state = State.STOPPED;
    private LwM2mServer server;
    private String registrationId;
    private int failures;
    /** Counts attempts, so that the late answer to an abandoned one is recognised. */
    private int attempt;
    private boolean updating;
    /** What the server has still to be told; null: nothing. */
    private RegistrationUpdate pending;
    private Future<?> timer;

    /** @param lifetime in seconds; the server may change it. Asked with locks held. */
    RegistrationMachine(String endpoint, Settings settings, boolean queueMode, LwM2mObjectTree tree,
            EndpointsManager endpoints, UplinkRequestSender sender, ScheduledExecutorService timers,
            LinkFormatHelper links, ServersInfoExtractor servers, Set<ContentFormat> formats, LongSupplier lifetime,
            Listener listener) {
        this.endpoint = endpoint;
        this.settings = settings;
        this.queueMode = queueMode;
        this.objects = tree.getObjectEnablers();
        this.endpoints = endpoints;
        this.sender = sender;
        this.timers = timers;
        this.links = links;
        this.servers = servers;
        this.formats = formats;
        this.lifetime = lifetime;
        this.listener = listener;
    }

    @Override
    public void start() {
        synchronized (this) {
            if (state != State.STOPPED) {
                return;
            }
            server = endpoints.createEndpoint(serverInfo(), true);
            if (server == null) {
                throw new IllegalStateException("no CoAP endpoint can be made for " + settings.server());
            }
            state = State.REGISTERING;
        }
        register();
    }

    private DmServerInfo serverInfo() {
        return servers.getInfo(objects).deviceManagements.values().iterator().next();
    }

    /** Not to be called with locks held: takes those of the objects. */
    private Link[] description() {
        return links.getClientDescription(objects.values(), null,
                ContentFormat.getOptionalContentFormatForClient(formats, LwM2mVersion.lastSupported()));
    }

    private void register() {
        int current;
        RegisterRequest request;
        synchronized (this) {
            // whatever changes from here on is told afterwards
            pending = null;
        }
        Link[] description = description();
        synchronized (this) {
            if (state == State.STOPPED) {
                return;
            }
            state = State.REGISTERING;
            registrationId = null;
            updating = false;
            current = ++attempt;
            request = new RegisterRequest(endpoint, lifetime.getAsLong(), LwM2mVersion.lastSupported().toString(),
                    EnumSet.of(BindingMode.U), queueMode, null, description, null);
        }
        listener.registering();
        try {
            sender.send(server, request, answerTimeout(), response -> onRegister(current, response),
                    error -> onRegisterError(current, error));
        } catch (RuntimeException e) {
            onRegisterError(current, e);
        }
    }

    private long answerTimeout() {
        return settings.transmitWait().plus(settings.handshakeWait()).plusSeconds(5).toMillis();
    }

    private void onRegister(int of, RegisterResponse response) {
        if (!response.isSuccess()) {
            retryLater(of, describe(response));
            return;
        }
        synchronized (this) {
            if (of != attempt || state != State.REGISTERING) {
                return;
            }
            state = State.REGISTERED;
            failures = 0;
            registrationId = response.getRegistrationID();
            scheduleUpdate();
        }
        listener.registered(response.getRegistrationID());
        updatePending();
    }

    private void onRegisterError(int of, Exception error) {
        retryLater(of, Failures.describe(error));
    }

    private void retryLater(int of, String reason) {
        Duration pause;
        synchronized (this) {
            if (of != attempt || state != State.REGISTERING) {
                return;
            }
            state = State.WAITING;
            pause = pause(failures++);
            timer = schedule(this::reconnectAndRegister, pause);
        }
        listener.refused(reason, pause);
    }

    /** Doubles from the first pause to the longest; up to a fifth less, so that a fleet does not return in step. */
    private Duration pause(int failuresBefore) {
        Duration pause = settings.backoff();
        for (int i = 0; i < failuresBefore && pause.compareTo(settings.backoffMax()) < 0; i++) {
            pause = pause.multipliedBy(2);
        }
        if (pause.compareTo(settings.backoffMax()) > 0) {
            pause = settings.backoffMax();
        }
        double part = 0.8 + 0.2 * ThreadLocalRandom.current().nextDouble();
        return Duration.ofMillis((long) (pause.toMillis() * part));
    }

    private void reconnectAndRegister() {
        // a server that forgot its sessions is silent to the old one: only a full handshake helps
        endpoints.forceReconnection(server, false);
        register();
    }

    /** The server no longer answers or no longer knows this device: starts over at once. Ignored unless registered. */
    void lost(String reason) {
        synchronized (this) {
            if (state != State.REGISTERED) {
                return;
            }
            state = State.REGISTERING;
            registrationId = null;
            attempt++;
            cancelTimer();
        }
        listener.lost(reason);
        synchronized (this) {
            // unless a restart or the end came between
            if (state == State.REGISTERING && registrationId == null && timer == null) {
                timer = schedule(this::reconnectAndRegister, Duration.ZERO);
            }
        }
    }

    /** As after a restart of the device's software: all is forgotten, the server is not told. */
    void restart(Duration pause) {
        synchronized (this) {
            if (state == State.STOPPED) {
                return;
            }
            state = State.WAITING;
            registrationId = null;
            attempt++;
            failures = 0;
            cancelTimer();
            timer = schedule(this::reconnectAndRegister, pause);
        }
    }

    /** A new registration without a loss of the old one, over the same session. */
    void registerAgain() {
        synchronized (this) {
            if (state != State.REGISTERED) {
                return;
            }
            state = State.REGISTERING;
            attempt++;
            cancelTimer();
            timer = schedule(this::register, Duration.ZERO);
        }
    }

    private void scheduleUpdate() {
        cancelTimer();
        timer = schedule(() -> update(new RegistrationUpdate()),
                settings.effectiveUpdatePeriod(Duration.ofSeconds(lifetime.getAsLong())));
    }

    /**
     * Sends an Update unless one or a Register is under way; one that is asked for meanwhile follows. Not to be called
     * with the locks of objects held.
     */
    void update(RegistrationUpdate wanted) {
        UpdateRequest request;
        int current;
        // Leshan's own description lacks the content formats that the Register announced
        RegistrationUpdate change = wanted.getObjectLinks() == null ? wanted
                : new RegistrationUpdate(wanted.getLifeTimeInSec(), wanted.getSmsNumber(), wanted.getBindingMode(),
                        description(), wanted.getAdditionalAttributes());
        synchronized (this) {
            boolean says = change.getLifeTimeInSec() != null || change.getObjectLinks() != null;
            if (state == State.REGISTERING && says || state == State.REGISTERED && updating) {
                pending = pending == null ? change : merged(pending, change);
                return;
            }
            if (state != State.REGISTERED) {
                return;
            }
            updating = true;
            current = attempt;
            request = new UpdateRequest(registrationId, change.getLifeTimeInSec(), change.getSmsNumber(),
                    change.getBindingMode(), change.getObjectLinks(), change.getAdditionalAttributes());
        }
        try {
            sender.send(server, request, answerTimeout(), response -> onUpdate(current, response),
                    error -> onUpdateError(current, error));
        } catch (RuntimeException e) {
            onUpdateError(current, e);
        }
    }

    private static RegistrationUpdate merged(RegistrationUpdate earlier, RegistrationUpdate later) {
        return new RegistrationUpdate(
                later.getLifeTimeInSec() == null ? earlier.getLifeTimeInSec() : later.getLifeTimeInSec(), null, null,
                later.getObjectLinks() == null ? earlier.getObjectLinks() : later.getObjectLinks(), null);
    }

    private void updatePending() {
        RegistrationUpdate change;
        synchronized (this) {
            change = pending;
            pending = null;
        }
        if (change != null) {
            update(change);
        }
    }

    /** An Update from wherever the need is seen, also with locks held. */
    private void updateSoon(RegistrationUpdate change) {
        schedule(() -> update(change), Duration.ZERO);
    }

    private void onUpdate(int of, LwM2mResponse response) {
        if (response.getCode() != ResponseCode.CHANGED) {
            onUpdateFailed(of, "Update answered " + describe(response));
            return;
        }
        synchronized (this) {
            if (of != attempt || state != State.REGISTERED) {
                return;
            }
            updating = false;
            scheduleUpdate();
        }
        listener.updated();
        updatePending();
    }

    private void onUpdateError(int of, Exception error) {
        onUpdateFailed(of, "Update: " + Failures.describe(error));
    }

    private void onUpdateFailed(int of, String reason) {
        synchronized (this) {
            if (of != attempt) {
                return;
            }
        }
        lost(reason);
    }

    /** Whether an answer is awaited. */
    synchronized boolean isBusy() {
        return updating || state == State.REGISTERING;
    }

    /** Whether the server holds a registration, as far as is known; one survives the device's end. */
    synchronized boolean isRegistered() {
        return registrationId != null;
    }

    /** The server of the current registration; null while there is none. */
    synchronized LwM2mServer currentServer() {
        return state == State.REGISTERED ? server : null;
    }

    /** Tells the server that the device leaves; done when it answered, or at once when there is nothing to say. */
    CompletableFuture<Void> deregister() {
        CompletableFuture<Void> done = new CompletableFuture<>();
        String id;
        synchronized (this) {
            id = registrationId;
            state = State.STOPPED;
            registrationId = null;
            attempt++;
            cancelTimer();
        }
        if (id == null) {
            done.complete(null);
            return done;
        }
        try {
            sender.send(server, new DeregisterRequest(id), answerTimeout(), response -> done.complete(null),
                    error -> done.complete(null));
        } catch (RuntimeException e) {
            done.complete(null);
        }
        return done;
    }

    @Override
    public synchronized void stop(boolean deregister) {
        state = State.STOPPED;
        attempt++;
        cancelTimer();
    }

    @Override
    public void destroy(boolean deregister) {
        stop(deregister);
    }

    private Future<?> schedule(Runnable task, Duration pause) {
        try {
            return timers.schedule(task, pause.toMillis(), TimeUnit.MILLISECONDS);
        } catch (RejectedExecutionException e) {
            // the fleet is going down
            return null;
        }
    }

    private void cancelTimer() {
        if (timer != null) {
            timer.cancel(false);
            timer = null;
        }
    }

    private static String describe(LwM2mResponse response) {
        String message = response.getErrorMessage();
        return response.getCode() + (message == null || message.isBlank() ? "" : " " + message);
    }

    @Override
    public void triggerRegistrationUpdate() {
        updateSoon(new RegistrationUpdate());
    }

    @Override
    public void triggerRegistrationUpdate(LwM2mServer to) {
        updateSoon(new RegistrationUpdate());
    }

    @Override
    public void triggerRegistrationUpdate(RegistrationUpdate change) {
        updateSoon(change);
    }

    @Override
    public void triggerRegistrationUpdate(LwM2mServer to, RegistrationUpdate change) {
        updateSoon(change);
    }

    /** There is no bootstrap server. */
    @Override
    public boolean triggerClientInitiatedBootstrap(boolean deregister) {
        return false;
    }

    @Override
    public synchronized String getRegistrationId(LwM2mServer of) {
        return registrationId;
    }

    @Override
    public synchronized Map<String, LwM2mServer> getRegisteredServers() {
        return registrationId == null ? Map.of() : Map.of(registrationId, server);
    }

    @Override
    public synchronized LwM2mServer getRegisteredServer(long serverId) {
        return state == State.REGISTERED || state == State.REGISTERING ? server : null;
    }

    /** Also while registering: a server may ask as soon as it has answered, before the answer is here. */
    @Override
    public synchronized boolean isAllowedToCommunicate(LwM2mServer peer) {
        return (state == State.REGISTERED || state == State.REGISTERING) && server.equals(peer);
    }

    @Override
    public String getEndpoint() {
        return endpoint;
    }
}
