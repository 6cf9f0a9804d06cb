package flownexus.leshan.coap;

import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.LwM2m.Version;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.request.ContentFormat;

/**
 * What a device sent on its own at some time, to be decoded now.
 *
 * @param paths what was observed; empty for a Send
 * @param rootPath that names are below; null if it is to be taken from the registration
 * @param versions in which the device announced its objects; null likewise
 * @param received when it came, ms since 1970
 */
public record StoredPayload(byte[] octets, ContentFormat format, List<LwM2mPath> paths, String rootPath,
        Map<Integer, Version> versions, long received) {
}
