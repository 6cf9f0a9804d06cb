package flownexus.leshan.coap;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.Response;

/** One block of a package that a device fetches: sent as it is, without the block-wise layer. */
final class PackageBlock extends Response {

    PackageBlock() {
        super(ResponseCode.CONTENT);
    }
}
