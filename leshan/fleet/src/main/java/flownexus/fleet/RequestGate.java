package flownexus.fleet;

import java.time.Duration;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.regex.Pattern;

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

    /** Update of a firmware object. */
    private static final Pattern UPDATE = Pattern.compile("/5/\\d+/2");

    private final DeviceFaults faults;
    private final NotificationTap tap;
    private final BiConsumer<Runnable, Duration> timer;
    private final Victim victim;

    RequestGate(DeviceFaults faults, NotificationTap tap, BiConsumer<Runnable, Duration> timer, Victim victim) {
        this.faults = faults;
        this.tap = tap;
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
        case SILENT, EXECUTE_LOST -> {
            // not even a reset
        }
        case ACK_THEN_SILENT -> exchange.sendAccept();
        case DIE -> victim.vanish(fault.seconds());
        case EXECUTE_THEN_SILENT, EXECUTE_MUTE -> operation.accept(new Answer(exchange, lost -> {
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
        String path = "/" + request.getOptions().getUriPathString();
        Fault.Operation wanted = operation(request);
        boolean update = wanted == Fault.Operation.EXECUTE && UPDATE.matcher(path).matches();
        return faults.next(path, wanted, fault -> fault.kind().stage() == Fault.Stage.REQUEST
                || update && fault.kind().stage() == Fault.Stage.EXECUTION);
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
