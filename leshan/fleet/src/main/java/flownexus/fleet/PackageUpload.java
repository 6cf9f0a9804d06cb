package flownexus.fleet;

import java.time.Duration;
import java.util.Arrays;
import java.util.function.BiConsumer;

import org.eclipse.californium.core.CoapExchange;
import org.eclipse.californium.core.coap.CoAP.ResponseCode;
import org.eclipse.californium.core.coap.MediaTypeRegistry;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.Response;
import org.eclipse.californium.core.coap.option.BlockOption;
import org.eclipse.leshan.core.request.ContentFormat;

/**
 * A block of a firmware package as CoAP brings it (RFC 7959, Block1): each is a request of its own and answered as such,
 * so that no package is held in memory.
 */
final class PackageUpload {

    /** What the answer to so slow a block needs: an acknowledgement first, or the server would repeat the block. */
    private static final Duration SEPARATE = Duration.ofSeconds(1);

    private static final int RESOURCE_WITH_VALUE = 0b1100_0000;
    private static final int TYPE = 0b1100_0000;
    private static final int LONG_IDENTIFIER = 0b0010_0000;
    private static final int LENGTH_OF_LENGTH = 0b0001_1000;

    private PackageUpload() {
    }

    static void handle(CoapExchange exchange, FirmwareInstance firmware, int blockSize,
            BiConsumer<Runnable, Duration> timer) {
        Request request = exchange.advanced().getRequest();
        BlockOption block = request.getOptions().getBlock1();
        byte[] payload = request.getPayload() == null ? new byte[0] : request.getPayload();
        int offset = block == null ? 0 : block.getOffset();
        byte[] data;
        try {
            data = data(request, offset, payload);
        } catch (IllegalArgumentException e) {
            respond(exchange, ResponseCode.BAD_REQUEST, e.getMessage(), null);
            return;
        }
        if (data == null) {
            respond(exchange, ResponseCode.UNSUPPORTED_CONTENT_FORMAT, "a package comes as opaque or TLV", null);
            return;
        }
        FirmwareInstance.Answer answer = firmware.push(offset, payload.length, data, block != null && block.isM());
        if (answer.code() == null) {
            // not even a reset
            return;
        }
        BlockOption acknowledged = block == null ? null : acknowledged(block, blockSize);
        if (answer.pause().isZero()) {
            respond(exchange, answer.code(), answer.message(), acknowledged);
            return;
        }
        if (answer.pause().compareTo(SEPARATE) >= 0) {
            exchange.accept();
        }
        timer.accept(() -> respond(exchange, answer.code(), answer.message(), acknowledged), answer.pause());
    }

    /** A smaller size than the server's makes it go on with that one. */
    private static BlockOption acknowledged(BlockOption block, int blockSize) {
        int szx = Math.min(block.getSzx(), BlockOption.size2Szx(blockSize));
        return block.getDefinition().create(szx, block.isM(), block.getNum());
    }

    private static void respond(CoapExchange exchange, ResponseCode code, String message, BlockOption block) {
        Response response = new Response(code);
        if (message != null) {
            response.setPayload(message);
            response.getOptions().setContentFormat(MediaTypeRegistry.TEXT_PLAIN);
        }
        if (block != null) {
            response.getOptions().setBlock1(block);
        }
        exchange.respond(response);
    }

    /** The part of the package in a payload; null: of no known format. @throws IllegalArgumentException bad TLV */
    private static byte[] data(Request request, int offset, byte[] payload) {
        int format = request.getOptions().hasContentFormat() ? request.getOptions().getContentFormat()
                : ContentFormat.OPAQUE.getCode();
        if (format == ContentFormat.OPAQUE.getCode()) {
            return payload;
        }
        if (format == ContentFormat.TLV.getCode()) {
            return offset > 0 ? payload : withoutHeader(payload);
        }
        return null;
    }

    /** LwM2M 1.1, 7.4.3: type, identifier and length come before the value. */
    private static byte[] withoutHeader(byte[] payload) {
        if (payload.length < 2 || (payload[0] & TYPE) != RESOURCE_WITH_VALUE) {
            throw new IllegalArgumentException("a TLV of one resource with its value is expected");
        }
        int identifier = (payload[0] & LONG_IDENTIFIER) == 0 ? 1 : 2;
        int header = 1 + identifier + ((payload[0] & LENGTH_OF_LENGTH) >> 3);
        if (payload.length < header || payload[identifier] != FirmwareInstance.PACKAGE) {
            throw new IllegalArgumentException("a TLV of resource " + FirmwareInstance.PACKAGE + " is expected");
        }
        return Arrays.copyOfRange(payload, header, payload.length);
    }
}
