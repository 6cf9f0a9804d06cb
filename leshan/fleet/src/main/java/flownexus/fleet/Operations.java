package flownexus.fleet;

import java.util.Date;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;

import org.eclipse.leshan.core.link.Link;
import org.eclipse.leshan.core.node.LwM2mMultipleResource;
import org.eclipse.leshan.core.node.LwM2mResource;
import org.eclipse.leshan.core.node.LwM2mResourceInstance;
import org.eclipse.leshan.core.node.ObjectLink;
import org.eclipse.leshan.core.util.datatype.ULong;

/**
 * What was really done to a device, by path: a request that CoAP recognises as a repetition does not come this far, and
 * one that the device refuses does not count.
 */
final class Operations {

    /** Of longer opaque values only the size is kept. */
    private static final int MAX_OPAQUE = 1024;

    private static final class Entry {
        private long executes;
        private String arguments;
        private long writes;
        private Object value;
        private long creates;
        private long deletes;
        private long faults;
    }

    private final Map<String, Entry> byPath = new HashMap<>();

    private Entry entry(String path) {
        return byPath.computeIfAbsent(path, absent -> new Entry());
    }

    synchronized void executed(String path, String arguments) {
        Entry entry = entry(path);
        entry.executes++;
        entry.arguments = arguments;
    }

    synchronized void written(String path, LwM2mResource resource) {
        Entry entry = entry(path);
        entry.writes++;
        entry.value = plain(resource);
    }

    /** A firmware package of which only the size is kept. */
    synchronized void writtenBytes(String path, long size) {
        Entry entry = entry(path);
        entry.writes++;
        entry.value = size + " bytes";
    }

    synchronized void created(String path) {
        entry(path).creates++;
    }

    synchronized void deleted(String path) {
        entry(path).deletes++;
    }

    synchronized void faulted(String path) {
        entry(path).faults++;
    }

    /** Path to the counts that are not 0, with the last arguments and the last value; what JSON can say. */
    synchronized Map<String, Map<String, Object>> snapshot() {
        Map<String, Map<String, Object>> all = new TreeMap<>();
        byPath.forEach((path, entry) -> {
            Map<String, Object> one = new LinkedHashMap<>();
            if (entry.executes > 0) {
                one.put("executes", entry.executes);
                one.put("arguments", entry.arguments);
            }
            if (entry.writes > 0) {
                one.put("writes", entry.writes);
                one.put("value", entry.value);
            }
            putCount(one, "creates", entry.creates);
            putCount(one, "deletes", entry.deletes);
            putCount(one, "faults", entry.faults);
            all.put(path, one);
        });
        return all;
    }

    private static void putCount(Map<String, Object> one, String name, long count) {
        if (count > 0) {
            one.put(name, count);
        }
    }

    private static Object plain(LwM2mResource resource) {
        if (resource instanceof LwM2mMultipleResource multiple) {
            Map<String, Object> values = new TreeMap<>();
            for (LwM2mResourceInstance instance : multiple.getInstances().values()) {
                values.put(Integer.toString(instance.getId()), plain(instance.getValue()));
            }
            return values;
        }
        return plain(resource.getValue());
    }

    /** Times in ms, opaque values in hex, links as text. */
    private static Object plain(Object value) {
        if (value instanceof byte[] bytes) {
            return bytes.length > MAX_OPAQUE ? bytes.length + " bytes" : HexFormat.of().formatHex(bytes);
        }
        if (value instanceof Date time) {
            return time.getTime();
        }
        if (value instanceof ULong number) {
            return number.toBigInteger();
        }
        if (value instanceof ObjectLink link) {
            return link.encodeToString();
        }
        if (value instanceof Link[] links) {
            StringBuilder text = new StringBuilder();
            for (Link link : links) {
                text.append(text.isEmpty() ? "" : ",").append(link.toCoreLinkFormat());
            }
            return text.toString();
        }
        return value;
    }
}
