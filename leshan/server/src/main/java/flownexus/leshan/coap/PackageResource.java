package flownexus.leshan.coap;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.NoSuchFileException;
import java.security.cert.X509Certificate;
import java.util.Collections;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;
import java.util.function.Function;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.OptionSet;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.option.BlockOption;
import org.eclipse.californium.core.coap.option.StringOption;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.leshan.core.peer.IpPeer;
import org.eclipse.leshan.core.peer.LwM2mIdentity;
import org.eclipse.leshan.core.peer.PskIdentity;
import org.eclipse.leshan.server.registration.Registration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.events.TransferProgress;
import flownexus.leshan.events.TransferProgress.Progress;
import flownexus.leshan.packages.GrantStore;
import flownexus.leshan.packages.GrantStore.Grant;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.security.EndpointAuthorizer;
import flownexus.leshan.security.Refusals;
import flownexus.leshan.security.Refusals.Refusal;

/**
 * {@code /fw/TOKEN}: the package that a device was granted (RFC 7959, 2.4). Every request is answered from the file alone, so
 * that a late or repeated one disturbs nothing and a device may go on after a restart; and only to who has the device's
 * credential, in whatever DTLS session: Zephyr fetches in a second one.
 */
final class PackageResource extends CoapResource {

    static final String NAME = "fw";

    private static final Logger LOG = LoggerFactory.getLogger(PackageResource.class);

    /** Blocks of 1024 bytes; the next value means something else (RFC 8323, 6). */
    private static final int LARGEST_SZX = 6;
    private static final int ETAG_BYTES = 8;
    private static final int REMEMBERED = 10_000;

    private final PackageStore packages;
    private final Executor disk;
    private final GrantStore grants;
    private final EndpointAuthorizer authorizer;
    private final Refusals refusals;
    private final TransferProgress progress;
    private final Function<String, Registration> registrations;
    private final Consumer<Registration> heard;
    /** How many bytes of a granted package were fetched, by token; of the latest transfers only. */
    private final Map<String, Long> fetched = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Long> eldest) {
            return size() > REMEMBERED;
        }
    });

    /**
     * @param disk where blocks are read: a slow one must hold up nobody else
     * @param registrations finds one by the endpoint's name; null if there is none
     * @param heard told of whom a package was fetched by
     */
    PackageResource(PackageStore packages, Executor disk, GrantStore grants, EndpointAuthorizer authorizer,
            Refusals refusals, TransferProgress progress, Function<String, Registration> registrations, Consumer<Registration> heard) {
        super(NAME, false);
        this.packages = packages;
        this.disk = disk;
        this.grants = grants;
        this.authorizer = authorizer;
        this.refusals = refusals;
        this.progress = progress;
        this.registrations = registrations;
        this.heard = heard;
    }

    /** All tokens lead here. */
    @Override
    public Resource getChild(String name) {
        return this;
    }

    @Override
    public void handleGET(CoapExchange exchange) {
        Request request = exchange.advanced().getRequest();
        List<StringOption> path = request.getOptions().getUriPath();
        Grant grant = path.size() == 2 ? grants.byToken(path.get(1).getStringValue()) : null;
        if (grant == null) {
            exchange.respond(ResponseCode.NOT_FOUND);
            return;
        }
        Registration registration = registrations.apply(grant.endpoint());
        Refusal refusal = refusal(request, grant, registration);
        if (refusal != null) {
            refusals.report(refusal);
            exchange.respond(ResponseCode.FORBIDDEN);
            return;
        }
        if (registration != null) {
            heard.accept(registration);
        }
        OptionSet options = request.getOptions();
        BlockOption asked = options.getBlock2();
        int szx = asked == null ? LARGEST_SZX : asked.getSzx();
        if (options.hasAccept() && options.getAccept() != MediaTypeRegistry.APPLICATION_OCTET_STREAM) {
            exchange.respond(ResponseCode.NOT_ACCEPTABLE);
        } else if (szx > LARGEST_SZX) {
            exchange.respond(ResponseCode.BAD_REQUEST, "no such block size");
        } else {
            read(exchange, grant, asked == null ? 0 : asked.getNum(), szx);
        }
    }

    private void read(CoapExchange exchange, Grant grant, int number, int szx) {
        try {
            disk.execute(() -> {
                try {
                    serve(exchange, grant, number, szx);
                } catch (RuntimeException e) {
                    LOG.error("block {} of package {}", number, grant.stored().sha256(), e);
                    exchange.respond(ResponseCode.INTERNAL_SERVER_ERROR);
                }
            });
        } catch (RejectedExecutionException e) {
            // thousands wait already: the device will ask again
            LOG.debug("block {} of package {} is not read now", number, grant.stored().sha256(), e);
        }
    }

    private void serve(CoapExchange exchange, Grant grant, int number, int szx) {
        String sha256 = grant.stored().sha256();
        long total = grant.stored().size();
        int size = BlockOption.szx2Size(szx);
        long from = (long) number * size;
        if (from >= total) {
            exchange.respond(ResponseCode.BAD_OPTION, "the package ends before that block");
            return;
        }
        long to = Math.min(total, from + size);
        PackageBlock block = new PackageBlock();
        try {
            block.setPayload(packages.read(sha256, from, (int) (to - from)));
        } catch (NoSuchFileException e) {
            LOG.debug("package {} was removed", sha256, e);
            exchange.respond(ResponseCode.NOT_FOUND);
            return;
        } catch (IOException e) {
            LOG.error("package {} cannot be read", sha256, e);
            exchange.respond(ResponseCode.INTERNAL_SERVER_ERROR);
            return;
        }
        OptionSet options = block.getOptions();
        options.setContentFormat(MediaTypeRegistry.APPLICATION_OCTET_STREAM);
        options.addETag(HexFormat.of().parseHex(sha256, 0, 2 * ETAG_BYTES));
        options.setBlock2(szx, to < total, number);
        options.setSize2((int) total);
        exchange.respond(block);
        // from the first block on it is another transfer
        long sent = fetched.merge(grant.token(), to, (before, now) -> number == 0 ? now : Math.max(before, now));
        if (to == total) {
            fetched.remove(grant.token());
        }
        progress.report(new Progress(grant.endpoint(), null, "/" + NAME, sha256, sent, total, size), to == total);
    }

    private Refusal refusal(Request request, Grant grant, Registration registration) {
        IpPeer peer = (IpPeer) PeerIdentities.peer(request.getSourceContext());
        LwM2mIdentity identity = peer.getIdentity();
        InetSocketAddress address = peer.getSocketAddress();
        X509Certificate certificate = PeerIdentities.certificate(request.getSourceContext().getPeerIdentity());
        String objection = authorizer.objection(grant.endpoint(), identity, certificate);
        if (objection == null && !identity.isSecure() && !isRegisteredAt(registration, address)) {
            objection = "plain CoAP: the endpoint is not registered at this address";
        }
        if (objection == null) {
            return null;
        }
        Refusal refusal = Refusal.of(address, "asked for a package that was granted to another: " + objection)
                .endpoint(grant.endpoint()).certificate(certificate);
        return identity instanceof PskIdentity psk ? refusal.identity(psk.getPskIdentity()) : refusal;
    }

    private static boolean isRegisteredAt(Registration registration, InetSocketAddress address) {
        return registration != null && !registration.getClientTransportData().getIdentity().isSecure()
                && registration.getAddress().equals(address.getAddress());
    }
}
