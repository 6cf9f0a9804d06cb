package flownexus.leshan.coap;

import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.EmptyMessage;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.network.Outbox;
import org.eclipse.californium.core.network.stack.AbstractLayer;
import org.eclipse.californium.core.network.stack.BaseCoapStack;
import org.eclipse.californium.core.network.stack.BlockwiseLayer;
import org.eclipse.californium.core.network.stack.ExchangeCleanupLayer;
import org.eclipse.californium.core.network.stack.Layer;
import org.eclipse.californium.core.network.stack.ObserveLayer;
import org.eclipse.californium.core.network.stack.ReliabilityLayer;
import org.eclipse.californium.elements.EndpointContextMatcher;
import org.eclipse.californium.elements.config.Configuration;

/**
 * Californium's stack for UDP, but a confirmable notification is acknowledged only when it is stored: until then its sender
 * will repeat it (RFC 7252, 4.2), so that none is lost with this process.
 */
final class CommitStack extends BaseCoapStack {

    CommitStack(String tag, Configuration config, EndpointContextMatcher matcher, Outbox outbox) {
        super(outbox);
        Bypass above = new Bypass();
        Bypass below = new Bypass();
        above.other = below;
        below.other = above;
        setLayers(new Layer[] { new ExchangeCleanupLayer(config), new ObserveLayer(config), above,
                new BlockwiseLayer(tag, false, config, matcher), below, new LateAcknowledgement(config) });
    }

    /**
     * One of two layers around the block-wise layer, which lead past it what consists of blocks already: whoever makes those
     * follows the transfer himself, and needs not the whole of it in memory.
     */
    private static final class Bypass extends AbstractLayer {

        private Bypass other;

        @Override
        public void sendRequest(Exchange exchange, Request request) {
            if (isOwnBlock(exchange)) {
                exchange.setCurrentRequest(request);
                other.passDown(exchange, request);
            } else {
                super.sendRequest(exchange, request);
            }
        }

        @Override
        public void receiveResponse(Exchange exchange, Response response) {
            if (isOwnBlock(exchange)) {
                exchange.setResponse(response);
                other.passUp(exchange, response);
            } else {
                super.receiveResponse(exchange, response);
            }
        }

        @Override
        public void sendResponse(Exchange exchange, Response response) {
            if (response instanceof PackageBlock) {
                other.passDown(exchange, response);
            } else {
                super.sendResponse(exchange, response);
            }
        }

        /** The block-wise layer leaves the application's request as it was, and sends others in its place. */
        private static boolean isOwnBlock(Exchange exchange) {
            return exchange.isOfLocalOrigin() && exchange.getRequest().getOptions().hasBlock1();
        }

        private void passDown(Exchange exchange, Request request) {
            super.sendRequest(exchange, request);
        }

        private void passDown(Exchange exchange, Response response) {
            super.sendResponse(exchange, response);
        }

        private void passUp(Exchange exchange, Response response) {
            super.receiveResponse(exchange, response);
        }
    }

    private static final class LateAcknowledgement extends ReliabilityLayer {

        LateAcknowledgement(Configuration config) {
            super(config);
        }

        /** A block is repeated as its request is to be. */
        @Override
        protected void prepareRequest(Exchange exchange, Request request) {
            if (request.getReliabilityLayerParameters() == null) {
                request.setReliabilityLayerParameters(exchange.getRequest().getReliabilityLayerParameters());
            }
            super.prepareRequest(exchange, request);
        }

        @Override
        public void receiveResponse(Exchange exchange, Response response) {
            if (isWholeNotification(exchange, response)) {
                HeldAcknowledgement.around(() -> super.receiveResponse(exchange, response));
            } else {
                super.receiveResponse(exchange, response);
            }
        }

        /** The base class acknowledges before it delivers: this is where that is caught. */
        @Override
        public void sendEmptyMessage(Exchange exchange, EmptyMessage message) {
            boolean held = message.getType() == Type.ACK && HeldAcknowledgement
                    .hold(() -> exchange.execute(() -> super.sendEmptyMessage(exchange, message)));
            if (!held) {
                super.sendEmptyMessage(exchange, message);
            }
        }

        /**
         * The first block of a longer notification is acknowledged at once: its sender may not serve the other blocks before.
         * A repetition is for the base class, which is silent as long as the first was not acknowledged.
         */
        private static boolean isWholeNotification(Exchange exchange, Response response) {
            return response.getType() == Type.CON && exchange.isNotification() && !response.isDuplicate()
                    && !response.getOptions().hasBlock2();
        }
    }
}
