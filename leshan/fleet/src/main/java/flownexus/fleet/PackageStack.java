package flownexus.fleet;

import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.network.CoapStackFactory;
import org.eclipse.californium.core.network.Exchange;
import org.eclipse.californium.core.network.Outbox;
import org.eclipse.californium.core.network.stack.BaseCoapStack;
import org.eclipse.californium.core.network.stack.BlockwiseLayer;
import org.eclipse.californium.core.network.stack.CongestionControlLayer;
import org.eclipse.californium.core.network.stack.ExchangeCleanupLayer;
import org.eclipse.californium.core.network.stack.Layer;
import org.eclipse.californium.core.network.stack.ObserveLayer;
import org.eclipse.californium.elements.EndpointContextMatcher;
import org.eclipse.californium.elements.config.Configuration;

/** Californium's stack, but the blocks of firmware packages reach the device one by one and not as a whole. */
final class PackageStack extends BaseCoapStack {

    static final CoapStackFactory FACTORY = (protocol, tag, configuration, matcher, outbox,
            argument) -> new PackageStack(tag, configuration, matcher, outbox);

    private PackageStack(String tag, Configuration configuration, EndpointContextMatcher matcher, Outbox outbox) {
        super(outbox);
        ObserveLayer above = new ObserveLayer(configuration);
        BlockwiseLayer blockwise = new BlockwiseLayer(tag, false, configuration, matcher) {
            @Override
            public void receiveRequest(Exchange exchange, Request request) {
                if (Firmware.isPackage(request)) {
                    above.receiveRequest(exchange, request);
                } else {
                    super.receiveRequest(exchange, request);
                }
            }
        };
        setLayers(new Layer[] { new ExchangeCleanupLayer(configuration), above, blockwise,
                CongestionControlLayer.newImplementation(tag, configuration) });
    }
}
