package flownexus.fleet;

import org.eclipse.californium.core.coap.Response;

/** Is told of every notification before it goes to the CoAP stack. */
interface NotificationTap {

    /**
     * @param notification an observer added here sees its acknowledgement or its end
     * @param path what is observed, without a leading slash; empty for a composite observation
     */
    void notification(Response notification, String path);
}
