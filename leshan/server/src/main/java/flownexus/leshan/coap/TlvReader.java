package flownexus.leshan.coap;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ObjectModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mPath;

/**
 * Reads TLV (LwM2M Core 1.1, 7.4.5) value by value, so that what is wrong with one costs only that one. One instance reads
 * one payload.
 */
final class TlvReader {

    private static final int OBJECT_INSTANCE = 0;
    private static final int RESOURCE_INSTANCE = 1;
    private static final int MULTIPLE_RESOURCE = 2;
    private static final int MAX_DEPTH = 3;

    /** One entry's head, and where its content lies. */
    private record Entry(int kind, int id, int from, int to) {
    }

    private final byte[] payload;
    private final LwM2mPath asked;
    private final LwM2mModel model;
    private final Problems problems;
    private final List<Leaf> leaves = new ArrayList<>();
    private final Set<LwM2mPath> seen = new HashSet<>();
    private final List<LwM2mPath> guessed = new ArrayList<>();

    /** @param asked what the payload is about: neither the root nor deeper than a resource instance */
    TlvReader(byte[] payload, LwM2mPath asked, LwM2mModel model, Problems problems) {
        this.payload = payload;
        this.asked = asked;
        this.model = model;
        this.problems = problems;
    }

    List<Leaf> read() {
        int instance = asked.getObjectInstanceId() == null ? -1 : asked.getObjectInstanceId();
        entries(0, payload.length, instance, asked.getResourceId() == null ? -1 : asked.getResourceId(), 1);
        return leaves;
    }

    /** The paths of values whose types no model knows; they are told as octets. */
    List<LwM2mPath> guessed() {
        return guessed;
    }

    /** Reads entries on one level. @param instance the object instance that they are in, or -1 @param resource likewise */
    private void entries(int from, int to, int instance, int resource, int depth) {
        if (depth > MAX_DEPTH) {
            problems.add("the TLV entry at octet %d is in too many others".formatted(from));
            return;
        }
        int at = from;
        while (at < to) {
            Entry entry = head(at, to);
            if (entry == null) {
                problems.add("the TLV is cut short at octet %d".formatted(at));
                return;
            }
            entry(entry, Math.min(entry.to, to), instance, resource, depth);
            if (entry.to > to) {
                problems.add("the TLV is cut short: the entry at octet %d is longer than what there is".formatted(at));
                return;
            }
            at = entry.to;
        }
    }

    private Entry head(int at, int to) {
        int type = payload[at] & 0xff;
        int idBytes = (type & 0x20) == 0 ? 1 : 2;
        int lengthBytes = type >> 3 & 3;
        int from = at + 1 + idBytes + lengthBytes;
        if (from > to) {
            return null;
        }
        int length = lengthBytes == 0 ? type & 7 : number(at + 1 + idBytes, lengthBytes);
        return new Entry(type >> 6, number(at + 1, idBytes), from, from + length);
    }

    private int number(int at, int bytes) {
        int number = 0;
        for (int index = 0; index < bytes; index++) {
            number = number << 8 | payload[at + index] & 0xff;
        }
        return number;
    }

    private void entry(Entry entry, int end, int instance, int resource, int depth) {
        int object = asked.getObjectId();
        switch (entry.kind) {
        case OBJECT_INSTANCE:
            if (instance >= 0 && (instance != entry.id || asked.getObjectInstanceId() == null)) {
                problems.add("object instance %d does not belong here".formatted(entry.id));
            } else {
                entries(entry.from, end, entry.id, -1, depth + 1);
            }
            return;
        case RESOURCE_INSTANCE:
            if (instance < 0 || resource < 0) {
                problems.add("resource instance %d does not belong here".formatted(entry.id));
            } else {
                value(entry, end, new LwM2mPath(object, instance, resource, entry.id));
            }
            return;
        default:
            break;
        }
        int in = instance < 0 ? onlyInstance() : instance;
        if (in < 0) {
            problems.add("resource %d: which instance of object %d it is in is not said".formatted(entry.id, object));
            return;
        }
        if (resource >= 0 && asked.getResourceId() == null) {
            problems.add("resource %d does not belong here".formatted(entry.id));
            return;
        }
        LwM2mPath path = new LwM2mPath(object, in, entry.id);
        if (entry.kind != MULTIPLE_RESOURCE) {
            value(entry, end, path);
        } else if (entry.from == entry.to) {
            add(new Leaf(path, typeOrOpaque(path), null));
        } else {
            entries(entry.from, end, in, entry.id, depth + 1);
        }
    }

    /** The instance of resources that come without one: there is only one instance if the model says so or is unknown. */
    private int onlyInstance() {
        ObjectModel object = model.getObjectModel(asked.getObjectId());
        return object == null || !Boolean.TRUE.equals(object.multiple) ? 0 : -1;
    }

    private Type typeOrOpaque(LwM2mPath path) {
        Type type = ValueTypes.of(path, model);
        return type == null ? Type.OPAQUE : type;
    }

    private void value(Entry entry, int end, LwM2mPath path) {
        if (end < entry.to) {
            return;  // half a value is none; that it is cut is told once
        }
        try {
            Type type = typeOrOpaque(path);
            boolean added = add(new Leaf(path, type,
                    ValueTypes.ofOctets(type, Arrays.copyOfRange(payload, entry.from, end))));
            if (added && ValueTypes.of(path, model) == null) {
                guessed.add(path);
            }
        } catch (RuntimeException e) {
            problems.add(path + ": " + e.getMessage());
        }
    }

    private boolean add(Leaf leaf) {
        if (!leaf.path().startWith(asked)) {
            problems.add("%s is not what was asked for, which is %s".formatted(leaf.path(), asked));
            return false;
        }
        if (!seen.add(leaf.path())) {
            problems.add(leaf.path() + " comes twice");
            return false;
        }
        leaves.add(leaf);
        return true;
    }
}
