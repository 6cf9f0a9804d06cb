package flownexus.fleet;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.leshan.client.endpoint.ClientEndpointToolbox;
import org.eclipse.leshan.client.notification.NotificationManager;
import org.eclipse.leshan.client.request.DownlinkRequestReceiver;
import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.resource.LwM2mObjectTree;
import org.eclipse.leshan.client.resource.listener.ObjectsListenerAdapter;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.transport.californium.client.ObserveCompositeRelationFilter;
import org.eclipse.leshan.transport.californium.client.RootResource;
import org.eclipse.leshan.transport.californium.client.endpoint.ClientCoapMessageTranslator;
import org.eclipse.leshan.transport.californium.client.endpoint.ServerIdentityExtractor;
import org.eclipse.leshan.transport.californium.client.object.ObjectResource;
import org.eclipse.leshan.transport.californium.identity.IdentityHandlerProvider;

/** Leshan's CoAP resources, with confirmable notifications that pass a {@link NotificationTap}. */
final class TappedTranslator extends ClientCoapMessageTranslator {

    private final NotificationTap tap;

    TappedTranslator(NotificationTap tap) {
        this.tap = tap;
    }

    @Override
    public Resource createRootResource(CoapServer coapServer, IdentityHandlerProvider identities,
            ServerIdentityExtractor servers, DownlinkRequestReceiver receiver, ClientEndpointToolbox toolbox,
            LwM2mObjectTree tree) {
        RootResource root = new RootResource(identities, servers, coapServer, receiver, toolbox) {
            @Override
            public void handleFETCH(CoapExchange exchange) {
                super.handleFETCH(tap.on(exchange.advanced()));
            }
        };
        root.setObserveType(Type.CON);
        tree.addListener(new ObjectsListenerAdapter() {
            @Override
            public void resourceChanged(LwM2mPath... paths) {
                root.changed(new ObserveCompositeRelationFilter(paths));
            }
        });
        return root;
    }

    @Override
    public CoapResource createObjectResource(LwM2mObjectEnabler enabler, IdentityHandlerProvider identities,
            ServerIdentityExtractor servers, DownlinkRequestReceiver receiver, NotificationManager notifications,
            ClientEndpointToolbox toolbox) {
        ObjectResource resource = new ObjectResource(enabler.getId(), identities, servers, receiver, notifications,
                toolbox) {
            @Override
            public void handleGET(CoapExchange exchange) {
                super.handleGET(tap.on(exchange.advanced()));
            }
        };
        resource.setObserveType(Type.CON);
        enabler.addListener(resource);
        return resource;
    }
}
