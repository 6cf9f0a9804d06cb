package flownexus.leshan.http;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Iterator;

import org.eclipse.jetty.http.HttpHeader;
import org.eclipse.jetty.util.Callback;
import org.eclipse.jetty.util.IteratingCallback;
import org.eclipse.leshan.server.registration.Registration;

import com.fasterxml.jackson.core.JsonGenerator;

import flownexus.leshan.json.Json;
import flownexus.leshan.json.RegistrationWriter;

/** Writes an array of registrations piece by piece: with thousands of them it never lies in memory as a whole. */
final class RegistrationList extends IteratingCallback {

    private static final int PIECE_BYTES = 64 * 1024;

    private final Call call;
    private final Iterator<Registration> registrations;
    private final RegistrationWriter writer;
    private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(PIECE_BYTES + 4096);
    private JsonGenerator json;
    private boolean last;

    RegistrationList(Call call, Iterator<Registration> registrations, RegistrationWriter writer) {
        this.call = call;
        this.registrations = registrations;
        this.writer = writer;
    }

    @Override
    protected Action process() throws IOException {
        if (last) {
            return Action.SUCCEEDED;
        }
        if (json == null) {
            call.response.getHeaders().put(HttpHeader.CONTENT_TYPE, "application/json");
            json = Json.MAPPER.createGenerator(buffer);
            json.writeStartArray();
        }
        buffer.reset();
        while (registrations.hasNext() && buffer.size() < PIECE_BYTES) {
            writer.write(json, registrations.next());
            json.flush();
        }
        if (!registrations.hasNext()) {
            json.writeEndArray();
            json.close();
            last = true;
        }
        call.response.write(last, ByteBuffer.wrap(buffer.toByteArray()), this);
        return Action.SCHEDULED;
    }

    @Override
    protected void onCompleteSuccess() {
        call.callback.succeeded();
    }

    @Override
    protected void onCompleteFailure(Throwable cause) {
        call.callback.failed(cause);
    }

    @Override
    public Callback.InvocationType getInvocationType() {
        return Callback.InvocationType.NON_BLOCKING;
    }
}
