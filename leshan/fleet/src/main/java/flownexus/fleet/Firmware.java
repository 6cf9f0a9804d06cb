package flownexus.fleet;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.eclipse.californium.core.coap.CoAP.Code;
import org.eclipse.californium.core.coap.Request;
import org.eclipse.californium.core.coap.option.BlockOption;

/** All firmware of a device: the instances of object 5. */
final class Firmware {

    private static final Pattern PACKAGE = Pattern.compile("5/(\\d{1,5})/0");

    private final List<FirmwareInstance> instances = new ArrayList<>();
    private final int blockSize;

    Firmware(String endpoint, Settings.Firmware settings, DeviceFaults faults, Counters counters,
            FirmwareInstance.Host host) {
        blockSize = settings.blockSize();
        for (int id = 0; id < settings.instances(); id++) {
            String name = id == 0 ? "application" : id == 1 ? "modem" : "part " + (id + 1);
            instances.add(new FirmwareInstance(id, name, endpoint, settings, faults, counters, host));
        }
    }

    FirmwareInstance[] instances() {
        return instances.toArray(FirmwareInstance[]::new);
    }

    /** Largest block of a package, in bytes. */
    int blockSize() {
        return blockSize;
    }

    /** Whether a request writes to a Package resource, of whatever instance. */
    static boolean isPackage(Request request) {
        return request.getCode() == Code.PUT && request.getOptions().getURIQueryCount() == 0
                && PACKAGE.matcher(request.getOptions().getUriPathString()).matches();
    }

    /** The instance whose Package a request writes; null: none that there is. */
    FirmwareInstance target(Request request) {
        Matcher matcher = PACKAGE.matcher(request.getOptions().getUriPathString());
        if (!isPackage(request) || !matcher.matches()) {
            return null;
        }
        int id = Integer.parseInt(matcher.group(1));
        return id < instances.size() ? instances.get(id) : null;
    }

    /** Whether a request never arrives, for a fault's sake. */
    boolean loses(Request request) {
        FirmwareInstance target = target(request);
        BlockOption block = request.getOptions().getBlock1();
        return target != null && target.loses(block == null ? 0 : block.getOffset(), request.getPayloadSize());
    }

    /** Of what the device runs. */
    String version() {
        return instances.get(0).version();
    }

    /** Whether something happens that the device does not sleep over. */
    boolean isBusy() {
        return instances.stream().anyMatch(FirmwareInstance::isBusy);
    }

    /** The device went down. */
    void restarted() {
        instances.forEach(FirmwareInstance::restarted);
    }

    /** The device is back in touch. */
    void registered() {
        instances.forEach(FirmwareInstance::registered);
    }

    /** The end of the device. */
    void destroy() {
        instances.forEach(FirmwareInstance::destroy);
    }

    List<Map<String, Object>> figures() {
        return instances.stream().map(FirmwareInstance::figures).toList();
    }
}
