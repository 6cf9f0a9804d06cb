package flownexus.leshan.coap;

import java.io.IOException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;

import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.network.Endpoint;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.server.registration.Registration;
import org.eclipse.leshan.server.registration.RegistrationStore;
import org.eclipse.leshan.transport.californium.server.endpoint.CaliforniumServerEndpoint;

import flownexus.leshan.events.TransferProgress;
import flownexus.leshan.events.TransferProgress.Progress;
import flownexus.leshan.packages.PackageStore;

/** The packages that are being written to devices: at most one to the same resource of a device. */
final class PackagePushes {

    private record Key(String registrationId, LwM2mPath path) {
    }

    private final PackageStore packages;
    private final TransferProgress progress;
    private final RegistrationStore registrations;
    private final DeviceEndpoints endpoints;
    private final ScheduledExecutorService timer;
    private final PeerIdentities identities = new PeerIdentities();
    private final Map<Key, PackagePush> running = new ConcurrentHashMap<>();

    PackagePushes(PackageStore packages, TransferProgress progress, RegistrationStore registrations,
            DeviceEndpoints endpoints, ScheduledExecutorService timer) {
        this.packages = packages;
        this.progress = progress;
        this.registrations = registrations;
        this.endpoints = endpoints;
        this.timer = timer;
    }

    PackagePush create(Registration registration, PackagePush.Plan plan, long timeoutMillis) {
        return new PackagePush(this, registration, plan, timeoutMillis, timer);
    }

    /** Ends what is under way to a device that deregistered, expired, or registered anew: it knows nothing of it any more. */
    void registrationEnded(Registration registration) {
        running.values().stream().filter(push -> push.registrationId().equals(registration.getId()))
                .forEach(push -> push.cancel("Request %s cancelled: the device's registration ended"));
    }

    /** @return false if there is another one to that resource */
    boolean add(PackagePush push) {
        return running.putIfAbsent(key(push), push) == null;
    }

    void remove(PackagePush push) {
        if (running.remove(key(push), push)) {
            progress.end(push.endpoint());
        }
    }

    void report(Progress reached, boolean last) {
        progress.report(reached, last);
    }

    /** The registration as it is now, or null. */
    Registration registration(String id) {
        return registrations.getRegistration(id);
    }

    byte[] read(String sha256, long offset, int length) throws IOException {
        return packages.read(sha256, offset, length);
    }

    /** Where a device's registration came in. */
    Endpoint endpoint(Registration registration) {
        CaliforniumServerEndpoint endpoint = endpoints.getEndpoint(registration.getEndpointUri());
        if (endpoint == null) {
            throw new IllegalStateException("there is no endpoint " + registration.getEndpointUri());
        }
        return endpoint.getCoapEndpoint();
    }

    /** Addresses a request to a resource of a device, in its present session. */
    void address(Request request, Registration registration, LwM2mPath path) {
        request.setDestinationContext(identities.createEndpointContext(registration.getClientTransportData(), false));
        String root = registration.getRootPath() == null ? "" : registration.getRootPath();
        for (String segment : (root + path).split("/")) {
            if (!segment.isEmpty()) {
                request.getOptions().addUriPath(segment);
            }
        }
    }

    private static Key key(PackagePush push) {
        return new Key(push.registrationId(), push.plan().path());
    }
}
