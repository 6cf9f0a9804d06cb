package flownexus.leshan.coap;

/** A value that is not what it should be; the message says why. Cheap, because a payload may hold any number of them. */
final class UnfitException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    UnfitException(String message) {
        super(message);
    }

    @Override
    public synchronized Throwable fillInStackTrace() {
        return this;
    }
}
