package flownexus.leshan.http;

import java.io.IOException;
import java.nio.ByteBuffer;

import org.eclipse.jetty.http.HttpHeader;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.packages.GrantStore;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.packages.PackageStore.RefusedException;
import flownexus.leshan.packages.PackageStore.Stored;
import flownexus.leshan.packages.PackageStore.Upload;

/** {@code /api/packages}: what devices can be updated with. */
final class PackageApi {

    private final PackageStore packages;
    private final GrantStore grants;

    PackageApi(PackageStore packages, GrantStore grants) {
        this.packages = packages;
        this.grants = grants;
    }

    void handle(Call call) {
        if (call.path.isEmpty()) {
            if (call.method().equals("GET")) {
                list(call);
            } else {
                call.text(405, "Method not allowed");
            }
            return;
        }
        String sha256 = call.path.get(0);
        if (call.path.size() != 1 || !PackageStore.isHash(sha256)) {
            call.text(400, "Invalid path: /api/packages/{sha256} is expected, with 64 hexadecimal digits in lower case");
            return;
        }
        switch (call.method()) {
        case "GET" -> get(call, sha256);
        case "PUT" -> put(call, sha256);
        case "DELETE" -> delete(call, sha256);
        default -> call.text(405, "Method not allowed");
        }
    }

    private void list(Call call) {
        call.json(json -> {
            json.writeStartArray();
            for (Stored each : packages.all()) {
                write(json, each);
            }
            json.writeEndArray();
        });
    }

    private void get(Call call, String sha256) {
        Stored stored = packages.find(sha256);
        if (stored == null) {
            call.text(404, "no package " + sha256);
        } else {
            call.json(json -> write(json, stored));
        }
    }

    private void put(Call call, String sha256) {
        Receiver receiver = new Receiver(call, sha256);
        // who waits to be told to go on is spared the sending
        if (call.request.getHeaders().contains(HttpHeader.EXPECT) && receiver.isDecided()) {
            receiver.answer();
        } else {
            call.withPieces(receiver);
        }
    }

    private void delete(Call call, String sha256) {
        try {
            if (grants.removePackage(sha256)) {
                call.empty(204);
            } else {
                call.text(404, "no package " + sha256);
            }
        } catch (IOException e) {
            call.text(500, "Unexpected exception: the package cannot be removed: " + e.getMessage());
        }
    }

    private static void write(JsonGenerator json, Stored stored) throws IOException {
        json.writeStartObject();
        json.writeStringField("sha256", stored.sha256());
        json.writeNumberField("size", stored.size());
        json.writeEndObject();
    }

    /**
     * Takes an upload. What is decided early is answered only when the body is over: most clients look for an answer no
     * sooner, and would find the connection reset.
     */
    private final class Receiver implements Call.Pieces {

        private final Call call;
        private final boolean known;
        private Upload upload;
        private IOException failure;

        Receiver(Call call, String sha256) {
            this.call = call;
            this.known = packages.find(sha256) != null;
            if (!known) {
                try {
                    upload = packages.begin(sha256, call.request.getLength());
                } catch (IOException e) {
                    failure = e;
                }
            }
        }

        boolean isDecided() {
            return upload == null;
        }

        @Override
        public void piece(ByteBuffer octets) {
            if (upload == null) {
                return;
            }
            try {
                upload.write(octets);
            } catch (IOException e) {
                failure = e;
                upload.abort();
                upload = null;
            }
        }

        @Override
        public void cut() {
            if (upload != null) {
                upload.abort();
            }
        }

        @Override
        public void end() {
            answer();
        }

        void answer() {
            try {
                if (known) {
                    call.empty(204);
                } else if (failure != null) {
                    throw failure;
                } else {
                    call.empty(upload.finish() ? 201 : 204);
                }
            } catch (RefusedException e) {
                call.text(switch (e.reason()) {
                case EMPTY, WRONG_HASH -> 400;
                case TOO_LARGE -> 413;
                case NO_ROOM -> 507;
                }, e.getMessage());
            } catch (IOException e) {
                call.text(500, "Unexpected exception: the package cannot be written: " + e.getMessage());
            }
        }
    }
}
