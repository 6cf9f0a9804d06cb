package flownexus.leshan.coap;

import java.net.InetSocketAddress;

import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.CoapExchange;
import org.eclipse.leshan.core.endpoint.EndPointUriHandler;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLinkParser;
import org.eclipse.leshan.server.request.UplinkDeviceManagementRequestReceiver;
import org.eclipse.leshan.transport.californium.identity.IdentityHandlerProvider;
import org.eclipse.leshan.transport.californium.server.registration.RegisterResource;

import flownexus.leshan.security.Refusals;
import flownexus.leshan.security.Refusals.Refusal;

/** {@code /rd}, which also says which registrations it found invalid (those that are forbidden the authoriser explains). */
final class ReportingRegisterResource extends RegisterResource {

    private final Refusals refusals;

    ReportingRegisterResource(UplinkDeviceManagementRequestReceiver receiver, LwM2mLinkParser linkParser,
            IdentityHandlerProvider identities, EndPointUriHandler uris, Refusals refusals) {
        super(receiver, linkParser, identities, uris);
        this.refusals = refusals;
    }

    @Override
    protected void handleRegister(CoapExchange exchange, Request request) {
        String number = request.getOptions().getUriQueryStrings().stream().filter(each -> each.startsWith("lt="))
                .map(each -> each.substring(3)).findFirst().orElse("");
        if (number.matches("[0-9]{0,18}")) {
            super.handleRegister(exchange, request);
        } else {
            handleInvalidRequest(exchange, "lifetime (lt) is not a number of seconds");
        }
        Response response = exchange.advanced().getResponse();
        if (response == null || response.isSuccess() || response.getCode() == ResponseCode.FORBIDDEN) {
            return;
        }
        InetSocketAddress peer = request.getSourceContext().getPeerAddress();
        String endpoint = request.getOptions().getUriQueryStrings().stream().filter(each -> each.startsWith("ep="))
                .map(each -> each.substring(3)).findFirst().orElse(null);
        String text = response.getPayloadString();
        refusals.report(Refusal.of(peer, "registration answered " + response.getCode()
                + (text.isEmpty() ? "" : ": " + text.lines().findFirst().orElse(""))).endpoint(endpoint));
    }
}
