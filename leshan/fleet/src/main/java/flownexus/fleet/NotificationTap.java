package flownexus.fleet;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.observe.ObserveRelation;

/** Is told of every notification before it goes to the CoAP stack. */
interface NotificationTap {

    /**
     * @param notification an observer added here sees its acknowledgement or its end
     * @param path what is observed, without a leading slash; empty for a composite observation
     */
    void notification(Response notification, String path);

    /** An exchange whose notifications come by this tap; other responses go their usual way. */
    default CoapExchange on(Exchange exchange) {
        return new CoapExchange(exchange) {
            @Override
            public void respond(Response response) {
                ObserveRelation relation = exchange.getRelation();
                if (relation != null && relation.isEstablished() && !relation.isCanceled() && response.isSuccess()) {
                    notification(response, exchange.getRequest().getOptions().getUriPathString());
                }
                super.respond(response);
            }
        };
    }
}
