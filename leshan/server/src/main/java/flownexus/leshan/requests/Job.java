package flownexus.leshan.requests;

import flownexus.leshan.json.Json;

/** One request to a device, as something that can be begun once and stopped. */
public interface Job {

    /** Where a job says how it ended; the first word counts. */
    interface Ending {

        /** The device answered. @param response the answer as JSON */
        void answered(Json.Writer response);

        /** Nobody answered in time. */
        void timedOut();

        /** It was stopped, by {@link Job#cancel} or for a reason of its own. @param error that reason */
        void cancelled(String error);

        /** @param error why there is no answer, in one line */
        void failed(String error);
    }

    /** Sends the request; must not wait for anything. */
    void start(Ending ending);

    /** Stops it; it ends by itself then, if it has not. */
    void cancel();

    /** Whether any datagram of it left, or may have. */
    boolean left();

    /** When at the latest it should end by itself, in ms after its start. */
    long timeoutMillis();
}
