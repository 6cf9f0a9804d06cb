package flownexus.leshan.coap;

import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

import org.eclipse.californium.core.coap.CoAP;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.option.StringOption;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.network.KeyMID;
import org.eclipse.californium.core.network.deduplication.Deduplicator;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.util.ClockUtil;

/**
 * Knows messages again that are repeated (RFC 7252, 4.5), for EXCHANGE_LIFETIME. As long as there is room, all of them: a
 * device that says much has said hundreds of other things before it repeats what was not acknowledged. Where there is none,
 * the latest few of each address.
 *
 * <p>
 * What fetches a block of a package is not remembered: it can be answered again at any time, and the answers would hold the
 * whole package in memory.
 */
final class KnownMessages implements Deduplicator {

    /** Of all addresses together; each takes 3 to 4 KiB. */
    static final int ROOM = 50_000;
    /** Of an address that are known in any case. */
    static final int FEWEST = 64;

    private record Known(KeyMID key, Exchange exchange, long nanos) {
    }

    private final int room;
    private final long lifetimeNanos;
    private final long sweepMillis;
    private final Map<KeyMID, Known> known = new ConcurrentHashMap<>();
    /** The same by address, oldest first; each changed only while the map holds it. */
    private final Map<Object, Queue<Known>> peers = new ConcurrentHashMap<>();
    private final AtomicInteger total = new AtomicInteger();
    private ScheduledExecutorService executor;
    private ScheduledFuture<?> sweeping;

    KnownMessages(Configuration configuration) {
        this(configuration, ROOM);
    }

    /** @param room for so many of all addresses */
    KnownMessages(Configuration configuration, int room) {
        this.room = room;
        this.lifetimeNanos = configuration.get(CoapConfig.EXCHANGE_LIFETIME, TimeUnit.NANOSECONDS);
        this.sweepMillis = configuration.get(CoapConfig.MARK_AND_SWEEP_INTERVAL, TimeUnit.MILLISECONDS);
    }

    @Override
    public synchronized void setExecutor(ScheduledExecutorService executor) {
        this.executor = executor;
    }

    @Override
    public synchronized void start() {
        if (sweeping == null) {
            sweeping = executor.scheduleWithFixedDelay(this::sweep, sweepMillis, sweepMillis, TimeUnit.MILLISECONDS);
        }
    }

    @Override
    public synchronized void stop() {
        if (sweeping != null) {
            sweeping.cancel(false);
            sweeping = null;
            clear();
        }
    }

    @Override
    public Exchange findPrevious(KeyMID key, Exchange exchange) {
        if (isBlockOfPackage(exchange)) {
            return null;
        }
        Known fresh = new Known(key, exchange, ClockUtil.nanoRealtime());
        while (true) {
            Known before = known.putIfAbsent(key, fresh);
            if (before == null) {
                break;
            }
            // a device counts its own messages: one of the other kind with the same number is another message
            if (before.exchange.getOrigin() == exchange.getOrigin()) {
                return before.exchange;
            }
            if (known.replace(key, before, fresh)) {
                break;
            }
        }
        remember(fresh);
        return null;
    }

    @Override
    public boolean replacePrevious(KeyMID key, Exchange previous, Exchange exchange) {
        Known before = known.get(key);
        if (before != null && before.exchange != previous) {
            return false;
        }
        Known fresh = new Known(key, exchange, ClockUtil.nanoRealtime());
        boolean replaced = before == null ? known.putIfAbsent(key, fresh) == null : known.replace(key, before, fresh);
        if (replaced) {
            remember(fresh);
        }
        return replaced;
    }

    @Override
    public Exchange find(KeyMID key) {
        Known found = known.get(key);
        return found == null ? null : found.exchange;
    }

    private void remember(Known fresh) {
        total.incrementAndGet();
        peers.compute(fresh.key.getPeer(), (peer, present) -> {
            Queue<Known> messages = present == null ? new ArrayDeque<>(4) : present;
            messages.add(fresh);
            while (messages.size() > FEWEST && total.get() > room) {
                forget(messages.remove());
            }
            return messages;
        });
    }

    private void forget(Known message) {
        // it may have been replaced
        known.remove(message.key, message);
        total.decrementAndGet();
    }

    private void sweep() {
        long oldest = ClockUtil.nanoRealtime() - lifetimeNanos;
        for (Object peer : List.copyOf(peers.keySet())) {
            peers.computeIfPresent(peer, (key, messages) -> {
                Iterator<Known> each = messages.iterator();
                while (each.hasNext()) {
                    Known message = each.next();
                    if (message.nanos - oldest >= 0) {
                        break;
                    }
                    each.remove();
                    forget(message);
                }
                return messages.isEmpty() ? null : messages;
            });
        }
    }

    private static boolean isBlockOfPackage(Exchange exchange) {
        if (exchange.isOfLocalOrigin()) {
            return false;
        }
        Request request = exchange.getRequest();
        List<StringOption> path = request.getOptions().getUriPath();
        return request.getCode() == CoAP.Code.GET && path.size() == 2
                && PackageResource.NAME.equals(path.get(0).getStringValue());
    }

    @Override
    public boolean isEmpty() {
        return known.isEmpty();
    }

    @Override
    public int size() {
        return known.size();
    }

    @Override
    public void clear() {
        for (Object peer : List.copyOf(peers.keySet())) {
            peers.computeIfPresent(peer, (key, messages) -> {
                messages.forEach(this::forget);
                return null;
            });
        }
    }
}
