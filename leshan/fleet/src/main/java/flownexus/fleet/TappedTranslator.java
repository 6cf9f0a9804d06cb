package flownexus.fleet;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BiConsumer;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.coap.CoAP.Type;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.observe.ObserveRelation;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.leshan.client.endpoint.ClientEndpointToolbox;
import org.eclipse.leshan.client.notification.NotificationManager;
import org.eclipse.leshan.client.request.DownlinkRequestReceiver;
import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.resource.LwM2mObjectTree;
import org.eclipse.leshan.client.resource.listener.ObjectsListenerAdapter;
import org.eclipse.leshan.client.servers.LwM2mServer;
import org.eclipse.leshan.core.link.lwm2m.attributes.InvalidAttributesException;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.core.request.ObserveRequest;
import org.eclipse.leshan.core.response.ObserveResponse;
import org.eclipse.leshan.transport.californium.client.ObserveCompositeRelationFilter;
import org.eclipse.leshan.transport.californium.client.RootResource;
import org.eclipse.leshan.transport.californium.client.endpoint.ClientCoapMessageTranslator;
import org.eclipse.leshan.transport.californium.client.endpoint.ServerIdentityExtractor;
import org.eclipse.leshan.transport.californium.client.object.ObjectResource;
import org.eclipse.leshan.transport.californium.identity.IdentityHandlerProvider;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Leshan's CoAP resources behind a {@link RequestGate}, with confirmable notifications. */
final class TappedTranslator extends ClientCoapMessageTranslator {

    private static final Logger LOG = LoggerFactory.getLogger(TappedTranslator.class);

    private final RequestGate gate;
    private final Firmware firmware;
    private final BiConsumer<Runnable, Duration> timer;

    TappedTranslator(RequestGate gate, Firmware firmware, BiConsumer<Runnable, Duration> timer) {
        this.gate = gate;
        this.firmware = firmware;
        this.timer = timer;
    }

    @Override
    public Resource createRootResource(CoapServer coapServer, IdentityHandlerProvider identities,
            ServerIdentityExtractor servers, DownlinkRequestReceiver receiver, ClientEndpointToolbox toolbox,
            LwM2mObjectTree tree) {
        RootResource root = new RootResource(identities, servers, coapServer, receiver, toolbox) {
            @Override
            public void handleFETCH(CoapExchange exchange) {
                gate.handle(exchange.advanced(), super::handleFETCH);
            }

            @Override
            public void handleIPATCH(CoapExchange exchange) {
                gate.handle(exchange.advanced(), super::handleIPATCH);
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
        ObjectResource resource = new GatedObject(enabler.getId(), identities, servers, receiver, notifications,
                toolbox);
        resource.setObserveType(Type.CON);
        enabler.addListener(resource);
        return resource;
    }

    private final class GatedObject extends ObjectResource {

        /** What is observed, with the exchange that asked for it. */
        private final Map<LwM2mPath, CoapExchange> observed = new ConcurrentHashMap<>();

        GatedObject(int object, IdentityHandlerProvider identities, ServerIdentityExtractor servers,
                DownlinkRequestReceiver receiver, NotificationManager notifications, ClientEndpointToolbox toolbox) {
            super(object, identities, servers, receiver, notifications, toolbox);
        }

        @Override
        public void handleGET(CoapExchange plain) {
            gate.handle(plain.advanced(), exchange -> {
                super.handleGET(exchange);
                ObserveRelation relation = exchange.advanced().getRelation();
                Request request = exchange.advanced().getRequest();
                if (relation != null && !relation.isCanceled() && request.isObserve()) {
                    observed.put(getPath(request.getOptions().getUriPathString()), exchange);
                }
            });
        }

        @Override
        public void handlePUT(CoapExchange plain) {
            FirmwareInstance target = firmware.target(plain.advanced().getRequest());
            if (target != null) {
                gate.handle(plain.advanced(), exchange -> {
                    if (getServerOrRejectRequest(exchange, exchange.advanced().getRequest()) != null) {
                        PackageUpload.handle(exchange, target, firmware.blockSize(), timer);
                    }
                });
                return;
            }
            gate.handle(plain.advanced(), exchange -> super.handlePUT(new CoapExchange(exchange.advanced()) {
                @Override
                public void respond(Response response) {
                    // before the answer: what the server writes next has to meet the new attributes
                    if (response.isSuccess() && getRequestOptions().getURIQueryCount() > 0) {
                        applyAttributes(getPath(getRequestOptions().getUriPathString()));
                    }
                    exchange.respond(response);
                }
            }));
        }

        @Override
        public void handlePOST(CoapExchange plain) {
            gate.handle(plain.advanced(), super::handlePOST);
        }

        @Override
        public void handleDELETE(CoapExchange plain) {
            gate.handle(plain.advanced(), super::handleDELETE);
        }

        /** Leshan gives attributes to observations that begin; the specification wants it for those that are, too. */
        private void applyAttributes(LwM2mPath written) {
            observed.forEach((path, exchange) -> {
                ObserveRelation relation = exchange.advanced().getRelation();
                if (relation == null || relation.isCanceled()) {
                    observed.remove(path, exchange);
                } else if (path.startWith(written)) {
                    try {
                        applyAttributes(exchange);
                    } catch (InvalidAttributesException e) {
                        LOG.debug("{}: {}", path, e.getMessage());
                    }
                }
            });
        }

        private void applyAttributes(CoapExchange exchange) throws InvalidAttributesException {
            Request request = exchange.advanced().getRequest();
            LwM2mServer server = extractIdentity(exchange.advanced(), request);
            if (server == null) {
                return;
            }
            ContentFormat format = request.getOptions().hasAccept()
                    ? ContentFormat.fromCode(request.getOptions().getAccept())
                    : null;
            ObserveRequest observation = new ObserveRequest(format, request.getOptions().getUriPathString(), request);
            // no change may come between
            synchronized (notificationManager) {
                notificationManager.clear(server, observation);
                ObserveResponse current = requestReceiver.requestReceived(server, observation).getResponse();
                if (current.isSuccess()) {
                    notificationManager.initRelation(server, observation, current.getContent(),
                            createNotificationSender(exchange, server, observation, format));
                }
            }
        }
    }
}
