package flownexus.fleet;

import java.time.Duration;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.function.Consumer;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.observe.ObserveRelation;

/**
 * Where a device's requests come in: they are carried out, unless a {@link Fault} wants it otherwise, and what is a
 * notification among the answers passes the {@link NotificationTap}.
 */
final class RequestGate {

    /** What a fault does to the device as a whole. */
    interface Victim {
        void vanish(Duration absence);

        void registerAgain();
    }

    private final String endpoint;
    private final FaultPlan faults;
    private final NotificationTap tap;
    private final Operations operations;
    private final BiConsumer<Runnable, Duration> timer;
    private final Victim victim;
    private final Map<Fault, Integer> done = new IdentityHashMap<>();

    RequestGate(String endpoint, FaultPlan faults, NotificationTap tap, Operations operations,
            BiConsumer<Runnable, Duration> timer, Victim victim) {
        this.endpoint = endpoint;
        this.faults = faults;
        this.tap = tap;
        this.operations = operations;
        this.timer = timer;
        this.victim = victim;
    }

    /** @param operation Leshan's way to do and answer what is asked for, or to notify */
    void handle(Exchange exchange, Consumer<CoapExchange> operation) {
        Fault fault = isNotification(exchange) ? null : next(exchange.getRequest());
        if (fault == null) {
            operation.accept(new Answer(exchange, null));
            return;
        }
        switch (fault.kind()) {
        case SILENT -> {
            // not even a reset
        }
        case ACK_THEN_SILENT -> exchange.sendAccept();
        case DIE -> victim.vanish(fault.seconds());
        case EXECUTE_THEN_SILENT -> operation.accept(new Answer(exchange, lost -> {
            // done is done
        }));
        case LATE -> {
            exchange.sendAccept();
            operation.accept(new Answer(exchange, answer -> timer.accept(answer, fault.seconds())));
        }
        case REREGISTER -> {
            victim.registerAgain();
            exchange.sendAccept();
            operation.accept(new Answer(exchange, answer -> timer.accept(answer, fault.seconds())));
        }
        default -> {
            Response response = new Response(fault.kind().code());
            response.setPayload("simulated fault");
            response.getOptions().setContentFormat(MediaTypeRegistry.TEXT_PLAIN);
            exchange.sendResponse(response);
        }
        }
    }

    private static boolean isNotification(Exchange exchange) {
        ObserveRelation relation = exchange.getRelation();
        return relation != null && relation.isEstablished();
    }

    private Fault next(Request request) {
        List<Fault> planned = faults.current();
        if (planned.isEmpty()) {
            return null;
        }
        String path = "/" + request.getOptions().getUriPathString();
        Fault.Operation wanted = operation(request);
        synchronized (done) {
            done.keySet().retainAll(planned);
            for (Fault fault : planned) {
                int before = done.getOrDefault(fault, 0);
                if (fault.concerns(endpoint, path, wanted) && (fault.times() == 0 || before < fault.times())) {
                    done.put(fault, before + 1);
                    operations.faulted(path);
                    return fault;
                }
            }
        }
        return null;
    }

    /** As the mapping of LwM2M operations to CoAP says (LwM2M 1.1 transport binding, 6.4.3). */
    private static Fault.Operation operation(Request request) {
        var options = request.getOptions();
        boolean content = options.hasContentFormat() && options.getContentFormat() != MediaTypeRegistry.TEXT_PLAIN;
        return switch (request.getCode()) {
        case GET, FETCH -> options.getAccept() == MediaTypeRegistry.APPLICATION_LINK_FORMAT
                ? Fault.Operation.DISCOVER
                : request.isObserve() ? Fault.Operation.OBSERVE
                        : request.isObserveCancel() ? Fault.Operation.CANCEL : Fault.Operation.READ;
        case PUT -> options.getURIQueryCount() > 0 && request.getPayloadSize() == 0 ? Fault.Operation.ATTRIBUTES
                : Fault.Operation.WRITE;
        case POST -> switch (options.getURIPathCount()) {
        case 1 -> Fault.Operation.CREATE;
        case 3 -> content ? Fault.Operation.WRITE : Fault.Operation.EXECUTE;
        default -> Fault.Operation.WRITE;
        };
        case DELETE -> Fault.Operation.DELETE;
        default -> Fault.Operation.WRITE;
        };
    }

    /** An exchange of which the first response may be late or lost; all others go their usual way. */
    private final class Answer extends CoapExchange {

        private final Exchange exchange;
        private final AtomicReference<Consumer<Runnable>> first;

        Answer(Exchange exchange, Consumer<Runnable> first) {
            super(exchange);
            this.exchange = exchange;
            this.first = new AtomicReference<>(first);
        }

        @Override
        public void respond(Response response) {
            Consumer<Runnable> delivery = first.getAndSet(null);
            if (delivery != null) {
                delivery.accept(() -> super.respond(response));
                return;
            }
            ObserveRelation relation = exchange.getRelation();
            if (relation != null && relation.isEstablished() && !relation.isCanceled() && response.isSuccess()) {
                tap.notification(response, exchange.getRequest().getOptions().getUriPathString());
            }
            super.respond(response);
        }
    }
}
