package flownexus.leshan.http;

import java.util.List;
import java.util.Locale;

import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.CompositeDownlinkRequest;
import org.eclipse.leshan.core.request.DownlinkDeviceManagementRequest;
import org.eclipse.leshan.core.request.SimpleDownlinkRequest;
import org.eclipse.leshan.core.request.exception.InvalidRequestException;
import org.eclipse.leshan.core.request.exception.RequestCanceledException;
import org.eclipse.leshan.core.request.exception.TimeoutException;
import org.eclipse.leshan.core.response.ErrorCallback;
import org.eclipse.leshan.core.response.LwM2mResponse;
import org.eclipse.leshan.core.response.ResponseCallback;
import org.eclipse.leshan.core.response.WriteResponse;
import org.eclipse.leshan.server.registration.Registration;

import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.coap.PackagePush;
import flownexus.leshan.coap.Transmission;
import flownexus.leshan.json.Json;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.requests.Job;
import flownexus.leshan.requests.RequestService;
import flownexus.leshan.requests.Target;

/**
 * Sends requests to devices and answers who asked: with the device's answer when it comes or, with
 * {@code Prefer: respond-async} (RFC 7240, 4.1), at once with the record of a request that outlives the call.
 */
final class RequestSender {

    private static final long DEFAULT_TIMEOUT_MILLIS = 5000;
    private static final long MAX_TIMEOUT_SECONDS = 7 * 24 * 3600;
    private static final String REQUEST_ID = "Request-Id";

    private final LwM2mService lwm2m;
    private final RequestService requests;

    RequestSender(LwM2mService lwm2m, RequestService requests) {
        this.lwm2m = lwm2m;
        this.requests = requests;
    }

    /**
     * Answers a call whose request was accepted before: nothing new starts.
     *
     * @return false if it is another
     * @throws InvalidRequestException if the answer is to come later and the call names no usable id
     */
    boolean isRepeated(Call call) {
        if (!isAsynchronous(call)) {
            return false;
        }
        return requests.find(requestId(call), found -> answer(call, found));
    }

    /** @param onSuccess runs if the device did it, before the caller is told */
    <T extends LwM2mResponse> void send(Call call, Registration registration, DownlinkDeviceManagementRequest<T> request,
            Runnable onSuccess) {
        send(call, registration, new Operation<>(request, new Transmission(registration, timeoutMillis(call)), onSuccess));
    }

    /** Writes a package that is in the store. */
    void push(Call call, Registration registration, LwM2mPath path, boolean replace, PackageStore.Stored stored) {
        String id = isAsynchronous(call) ? requestId(call) : null;
        PackagePush push = lwm2m.push(registration, new PackagePush.Plan(path, replace, stored, id), timeoutMillis(call));
        send(call, registration, new Push(push));
    }

    private <T extends LwM2mResponse> void send(Call call, Registration registration, Sending<T> sending) {
        boolean asynchronous = isAsynchronous(call);
        if (lwm2m.isSleeping(registration)) {
            if (asynchronous) {
                call.text(409, "SLEEPING: the device is asleep; ask again when it is awake");
            } else {
                call.text(504, "Request timeout: the device is sleeping");
            }
        } else if (!asynchronous) {
            sending.start(registration, response -> {
                try {
                    if (response.isSuccess()) {
                        sending.succeeded();
                    }
                    call.json(answer(registration, sending, response));
                } catch (RuntimeException e) {
                    Failure.of(e).answer(call);
                }
            }, error -> Failure.of(error).answer(call));
        } else if (requests.refuses()) {
            call.text(503, "no request can be accepted now: the disk takes nothing, or the server ends");
        } else {
            requests.accept(requestId(call), sending.target(registration.getEndpoint()),
                    new DeviceJob<>(registration, sending), found -> answer(call, found));
        }
    }

    private Json.Writer answer(Registration registration, Sending<?> sending, LwM2mResponse response) {
        Target target = sending.target(registration.getEndpoint());
        List<LwM2mPath> guessed = target.path().isEmpty() ? List.of()
                : lwm2m.guessed(registration, new LwM2mPath(target.path()), response);
        return json -> ResponseWriter.write(json, response, guessed);
    }

    private static void answer(Call call, RequestService.Found found) {
        call.json(found.ended() ? 200 : 202, found.record());
    }

    private static boolean isAsynchronous(Call call) {
        for (String preference : call.request.getHeaders().getCSV("Prefer", false)) {
            if (preference.split(";", 2)[0].strip().toLowerCase(Locale.ROOT).equals("respond-async")) {
                return true;
            }
        }
        return false;
    }

    private static String requestId(Call call) {
        String id = call.request.getHeaders().get(REQUEST_ID);
        if (!RequestService.isId(id)) {
            throw new InvalidRequestException(
                    "Prefer: respond-async needs a header Request-Id of 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
        }
        return id;
    }

    private static long timeoutMillis(Call call) {
        String text = call.query.get("timeout");
        if (text == null) {
            return DEFAULT_TIMEOUT_MILLIS;
        }
        if (!text.matches("[0-9]{1,9}")) {
            throw new InvalidRequestException("timeout must be a whole number of seconds");
        }
        long seconds = Long.parseLong(text);
        return Math.max(1, Math.min(seconds, MAX_TIMEOUT_SECONDS)) * 1000;
    }

    /** Something that is sent to a device, once. */
    private interface Sending<T extends LwM2mResponse> {

        Target target(String endpoint);

        /** Begins without waiting; exactly one of the callbacks is run, on any thread. */
        void start(Registration registration, ResponseCallback<T> answered, ErrorCallback failed);

        /** The device did it, and the caller has not been told yet. */
        void succeeded();

        void cancel();

        boolean left();

        long timeoutMillis();
    }

    private final class Operation<T extends LwM2mResponse> implements Sending<T> {

        private final DownlinkDeviceManagementRequest<T> request;
        private final Transmission transmission;
        private final Runnable onSuccess;

        Operation(DownlinkDeviceManagementRequest<T> request, Transmission transmission, Runnable onSuccess) {
            this.request = request;
            this.transmission = transmission;
            this.onSuccess = onSuccess;
        }

        @Override
        public Target target(String endpoint) {
            if (request instanceof CompositeDownlinkRequest<?> composite) {
                return new Target(endpoint, "", composite.getPaths().stream().map(LwM2mPath::toString).toList());
            }
            return new Target(endpoint, ((SimpleDownlinkRequest<?>) request).getPath().toString(), List.of());
        }

        @Override
        public void start(Registration registration, ResponseCallback<T> answered, ErrorCallback failed) {
            lwm2m.send(registration, request, transmission, answered, failed);
        }

        @Override
        public void succeeded() {
            onSuccess.run();
        }

        @Override
        public void cancel() {
            transmission.cancel();
        }

        @Override
        public boolean left() {
            return transmission.left();
        }

        @Override
        public long timeoutMillis() {
            return transmission.timeoutMillis();
        }
    }

    private record Push(PackagePush push) implements Sending<WriteResponse> {

        @Override
        public Target target(String endpoint) {
            return new Target(endpoint, push.plan().path().toString(), List.of());
        }

        @Override
        public void start(Registration registration, ResponseCallback<WriteResponse> answered, ErrorCallback failed) {
            push.start(answered, failed);
        }

        @Override
        public void succeeded() {
            // nothing else depends on it
        }

        @Override
        public void cancel() {
            push.cancel();
        }

        @Override
        public boolean left() {
            return push.left();
        }

        @Override
        public long timeoutMillis() {
            return push.timeoutMillis();
        }
    }

    private final class DeviceJob<T extends LwM2mResponse> implements Job {

        private final Registration registration;
        private final Sending<T> sending;

        DeviceJob(Registration registration, Sending<T> sending) {
            this.registration = registration;
            this.sending = sending;
        }

        @Override
        public void start(Ending ending) {
            Registration current = lwm2m.registration(registration.getEndpoint());
            if (current == null || !current.getId().equals(registration.getId())) {
                ending.failed("Request cancelled: the device's registration ended before the request was sent");
                return;
            }
            try {
                sending.start(current, response -> answered(response, ending), error -> failed(error, ending));
            } catch (RuntimeException e) {
                failed(e, ending);
            }
        }

        private void answered(T response, Ending ending) {
            try {
                if (response.isSuccess()) {
                    sending.succeeded();
                }
                ending.answered(answer(registration, sending, response));
            } catch (RuntimeException e) {
                failed(e, ending);
            }
        }

        private static void failed(Exception error, Ending ending) {
            if (error instanceof TimeoutException) {
                ending.timedOut();
            } else if (error instanceof RequestCanceledException) {
                ending.cancelled(Failure.of(error).text());
            } else {
                ending.failed(Failure.of(error).text());
            }
        }

        @Override
        public void cancel() {
            sending.cancel();
        }

        @Override
        public boolean left() {
            return sending.left();
        }

        @Override
        public long timeoutMillis() {
            return sending.timeoutMillis();
        }
    }
}
