package flownexus.fleet;

import org.eclipse.leshan.client.resource.LwM2mObjectEnabler;
import org.eclipse.leshan.client.resource.TransactionalObjectListener;

/**
 * Passes changes on at once. Leshan's own collects those that happen during a request and passes them on while it holds
 * the object's lock: two objects that do so at the same time can wait for each other.
 */
final class PromptListener extends TransactionalObjectListener {

    PromptListener(LwM2mObjectEnabler enabler) {
        super(enabler);
    }

    @Override
    public void beginTransaction(byte level) {
        // nothing to collect
    }

    @Override
    public void endTransaction(byte level) {
        // nothing was collected
    }
}
