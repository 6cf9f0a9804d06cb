package flownexus.fleet;

import java.util.Map;

import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.response.ExecuteResponse;
import org.eclipse.leshan.core.response.ReadResponse;
import org.eclipse.leshan.core.response.WriteResponse;

/**
 * Firmware Update (5, version 1.0) of a device that takes no update: idle for good. Packages, their URI and the update
 * itself are refused with 4.05.
 */
final class FirmwareInstance extends SimulatedInstance {

    private static final long COAP = 0;
    private static final long COAPS = 1;
    private static final long PUSH_AND_PULL = 2;

    FirmwareInstance(Counters counters) {
        super(0, counters);
        writes(0, value -> WriteResponse.methodNotAllowed());
        reads(1, () -> ReadResponse.success(1, ""));
        writes(1, value -> WriteResponse.methodNotAllowed());
        executes(2, ExecuteResponse::methodNotAllowed);
        reads(3, () -> ReadResponse.success(3, 0L));
        reads(5, () -> ReadResponse.success(5, 0L));
        reads(6, () -> ReadResponse.success(6, "simulated-sensor"));
        reads(7, () -> ReadResponse.success(7, DeviceInstance.FIRMWARE_VERSION));
        reads(8, () -> ReadResponse.success(8, Map.of(0, COAP, 1, COAPS), Type.INTEGER));
        reads(9, () -> ReadResponse.success(9, PUSH_AND_PULL));
    }
}
