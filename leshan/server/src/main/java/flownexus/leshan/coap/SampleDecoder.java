package flownexus.leshan.coap;

import java.math.BigDecimal;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ResourceModel.Type;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.node.codec.LwM2mDecoder;
import org.eclipse.leshan.core.request.ContentFormat;

import com.upokecenter.cbor.CBORException;
import com.upokecenter.cbor.CBORObject;
import com.upokecenter.cbor.CBORType;

/**
 * Decodes what devices send on their own: Sends and notifications. Unlike Leshan's decoder it keeps every value that can be
 * understood when others cannot, several values of one path at one time, and the times of devices that have no clock.
 * Safe for use by several threads.
 */
final class SampleDecoder {

    /** Below this a SenML time is relative to now (RFC 8428, 4.5.3). */
    private static final BigDecimal RELATIVE_BELOW = BigDecimal.valueOf(1L << 28);
    private static final BigDecimal MILLIS = BigDecimal.valueOf(1000);
    private static final BigDecimal MICROSECOND_IN_MILLIS = new BigDecimal("0.001");

    /**
     * What a payload held.
     *
     * @param samples oldest first; those without a time last
     * @param errors what could not be understood, a line each
     * @param clockless whether the device's times count from its own start, so that they were rebased
     * @param guessed the paths of values whose types neither the payload nor a model told
     * @param unknown why these are not known, a line each
     */
    record Decoded(List<Sample> samples, List<String> errors, boolean clockless, List<LwM2mPath> guessed,
            List<String> unknown) {

        /** Whether it must be looked at again when more is known. */
        boolean isComplete() {
            return errors.isEmpty() && guessed.isEmpty();
        }

        /** What is to be told of it if it is not complete, in one line. */
        String incompleteness() {
            List<String> lines = new ArrayList<>(errors);
            lines.addAll(unknown);
            return String.join("; ", lines);
        }
    }

    private final LwM2mDecoder decoder = new PayloadGuard();

    /**
     * Decodes a payload.
     *
     * @param paths what was observed; empty for a Send
     * @param received when it came, ms since 1970
     * @throws CodecException if nothing of it can be understood; its message is one line
     */
    Decoded decode(byte[] payload, ContentFormat format, String rootPath, List<LwM2mPath> paths, LwM2mModel model,
            long received) {
        Problems problems = new Problems();
        try {
            if (format == null) {
                throw new CodecException("the content format is missing");
            }
            switch (format.getCode()) {
            case ContentFormat.SENML_JSON_CODE, ContentFormat.SENML_CBOR_CODE:
                return decodeSenml(payload, format, rootPath, paths, model, received);
            case ContentFormat.TLV_CODE, ContentFormat.OLD_TLV_CODE:
                return decodeTlv(payload, single(paths, format), model, problems);
            case ContentFormat.TEXT_CODE, ContentFormat.OPAQUE_CODE, ContentFormat.CBOR_CODE:
                return decodeValue(payload, format, single(paths, format), model);
            case ContentFormat.JSON_CODE, ContentFormat.OLD_JSON_CODE:
                return decodeJson(payload, format, rootPath, single(paths, format), model);
            default:
                throw new CodecException("content format %s is not supported", format.getCode());
            }
        } catch (CodecException e) {
            throw new CodecException(e, "%s", Problems.line(e.getMessage()));
        } catch (RuntimeException | StackOverflowError e) {
            throw new CodecException("%s", Problems.line("not decodable: " + e.getMessage()));
        }
    }

    private static LwM2mPath single(List<LwM2mPath> paths, ContentFormat format) {
        if (paths.size() != 1) {
            throw new CodecException("%s", paths.isEmpty()
                    ? "content format %d does not say which resource it is about: a Send is in SenML (110 or 112)"
                            .formatted(format.getCode())
                    : "content format %d holds one value: several paths are told in SenML (110 or 112)"
                            .formatted(format.getCode()));
        }
        return paths.get(0);
    }

    // -- formats without times

    private static Decoded decodeTlv(byte[] payload, LwM2mPath path, LwM2mModel model, Problems problems) {
        if (path.isRoot()) {
            throw new CodecException("TLV does not say which object it is about");
        }
        TlvReader reader = new TlvReader(payload, path, model, problems);
        List<Leaf> leaves = reader.read();
        if (leaves.isEmpty()) {
            if (!problems.isEmpty()) {
                throw new CodecException("%s", String.join("; ", problems.lines()));
            }
            return withoutTime(nothing(path, model));
        }
        Map<LwM2mPath, LwM2mNode> nodes = new LinkedHashMap<>();
        try {
            nodes.put(path, NodeTree.of(path, leaves));
        } catch (RuntimeException e) {
            leaves.forEach(leaf -> nodes.put(leaf.path(), NodeTree.of(leaf.path(), List.of(leaf))));
        }
        return new Decoded(List.of(new Sample(null, null, nodes)), problems.lines(), false, reader.guessed(),
                unknown(reader.guessed(), model));
    }

    /** A payload that is one value. */
    private static Decoded decodeValue(byte[] payload, ContentFormat format, LwM2mPath path, LwM2mModel model) {
        if (!path.isResource() && !path.isResourceInstance()) {
            throw new CodecException("content format %s holds one value, and %s is not the path of one", format.getCode(),
                    path);
        }
        Type expected = ValueTypes.of(path, model);
        Leaf leaf;
        try {
            leaf = switch (format.getCode()) {
            case ContentFormat.TEXT_CODE -> {
                Type type = expected == null ? Type.STRING : expected;
                yield new Leaf(path, type, ValueTypes.ofText(type, payload));
            }
            case ContentFormat.OPAQUE_CODE -> new Leaf(path, Type.OPAQUE,
                    ValueTypes.converted(expected == null ? Type.OPAQUE : expected, payload));
            default -> cbor(payload, path, expected);
            };
        } catch (IllegalArgumentException e) {
            throw new CodecException("%s", path + ": " + e.getMessage());
        }
        // octets are what they are
        List<LwM2mPath> guessed = expected == null && format.getCode() != ContentFormat.OPAQUE_CODE ? List.of(path)
                : List.of();
        return new Decoded(List.of(new Sample(null, null, Map.of(path, NodeTree.of(path, List.of(leaf))))), List.of(),
                false, guessed, unknown(guessed, model));
    }

    private static Leaf cbor(byte[] payload, LwM2mPath path, Type expected) {
        CBORObject item;
        try {
            item = CBORObject.DecodeFromBytes(payload);
        } catch (CBORException e) {
            throw new UnfitException("not CBOR: " + e.getMessage());
        }
        if (!PayloadGuard.isUsable(item)) {
            throw new UnfitException("a number with an exponent or a length beyond all sense");
        }
        Object value = cborTime(item);
        value = value == null ? SenmlReader.cborValue(item) : value;
        if (value == null) {
            throw new UnfitException("the CBOR item is no single value");
        }
        if (expected == Type.OBJLNK && value instanceof String text) {
            value = new ValueTypes.LinkText(text);
        }
        Type type = expected == null ? ValueTypes.own(value) : expected;
        return new Leaf(path, type, ValueTypes.converted(type, value));
    }

    /** What is marked as a time (RFC 8949, 3.4.1 and 3.4.2); else null. */
    private static Date cborTime(CBORObject item) {
        if (item.HasMostOuterTag(0) && item.getType() == CBORType.TextString) {
            try {
                return Date.from(OffsetDateTime.parse(item.AsString()).toInstant());
            } catch (DateTimeException e) {
                throw new UnfitException("'%s' is no time".formatted(item.AsString()));
            }
        }
        if (item.HasMostOuterTag(1)) {
            Object seconds = SenmlReader.cborValue(item.UntagOne());
            if (seconds instanceof Number number) {
                return ValueTypes.time(ValueTypes.decimal(number));
            }
        }
        return null;
    }

    /** LwM2M 1.0's own JSON, which knows its types. */
    private Decoded decodeJson(byte[] payload, ContentFormat format, String rootPath, LwM2mPath path, LwM2mModel model) {
        List<Sample> samples = new ArrayList<>();
        for (TimestampedLwM2mNode node : decoder.decodeTimestampedData(payload, format, rootPath, path, model)) {
            BigDecimal time = node.isTimestamped() ? BigDecimal.valueOf(node.getTimestamp().toEpochMilli()) : null;
            samples.add(new Sample(time, null, Map.of(path, node.getNode())));
        }
        return new Decoded(ordered(samples), List.of(), false, List.of(), List.of());
    }

    private static Decoded withoutTime(Map<LwM2mPath, LwM2mNode> nodes) {
        return new Decoded(List.of(new Sample(null, null, nodes)), List.of(), false, List.of(), List.of());
    }

    private static List<String> unknown(List<LwM2mPath> guessed, LwM2mModel model) {
        Problems reasons = new Problems();
        guessed.forEach(path -> reasons.add(ValueTypes.unknown(path, model)));
        return reasons.lines();
    }

    /** What an answer without any value says of a path: an object without instances, an instance without resources … */
    private static Map<LwM2mPath, LwM2mNode> nothing(LwM2mPath path, LwM2mModel model) {
        if (!path.isResource() && !path.isResourceInstance()) {
            return Map.of(path, NodeTree.of(path, List.of()));
        }
        if (path.isResource() && ValueTypes.isMultiple(path, model)) {
            return Map.of(path, NodeTree.of(path, List.of(new Leaf(path, ValueTypes.of(path, model), null))));
        }
        throw new CodecException("%s", path + ": there is no value");
    }

    // -- SenML

    private static Decoded decodeSenml(byte[] payload, ContentFormat format, String rootPath, List<LwM2mPath> paths,
            LwM2mModel model, long received) {
        if (payload.length == 0 && paths.isEmpty()) {
            throw new CodecException("the payload is empty");
        }
        Problems problems = new Problems();
        SenmlReader reader = new SenmlReader(rootPath, problems);
        List<SenmlReader.Entry> entries = payload.length == 0 ? List.of()
                : format.getCode() == ContentFormat.SENML_JSON_CODE ? reader.readJson(payload) : reader.readCbor(payload);
        if (entries.isEmpty() && problems.isEmpty()) {
            return paths.size() == 1 ? withoutTime(nothing(paths.get(0), model))
                    : new Decoded(List.of(), List.of(), false, List.of(), List.of());
        }
        BigDecimal newest = entries.stream().map(SenmlReader.Entry::seconds).filter(SampleDecoder::isRelative)
                .max(Comparator.naturalOrder()).orElse(BigDecimal.ZERO);
        boolean clockless = newest.signum() > 0;
        List<Sample> samples = new ArrayList<>();
        byTime(entries, model, problems).forEach((seconds, records) -> {
            BigDecimal millis = seconds == null ? null : seconds.multiply(MILLIS);
            boolean relative = isRelative(seconds);
            if (relative) {
                millis = BigDecimal.valueOf(received).add(clockless ? millis.subtract(newest.multiply(MILLIS)) : millis);
            }
            List<List<Leaf>> rounds = rounds(records);
            for (int index = 0; index < rounds.size(); index++) {
                BigDecimal time = millis == null ? null
                        : millis.add(MICROSECOND_IN_MILLIS.multiply(BigDecimal.valueOf(index)));
                samples.add(new Sample(time, relative || index > 0 ? seconds : null, nodes(rounds.get(index), paths)));
            }
        });
        if (samples.isEmpty()) {
            throw new CodecException("%s", String.join("; ", problems.lines()));
        }
        return new Decoded(ordered(samples), problems.lines(), clockless, List.of(), List.of());
    }

    private static boolean isRelative(BigDecimal seconds) {
        return seconds != null && seconds.compareTo(RELATIVE_BELOW) < 0;
    }

    /** The values that fit their types by time, in the order of the payload. */
    private static Map<BigDecimal, List<Leaf>> byTime(List<SenmlReader.Entry> entries, LwM2mModel model,
            Problems problems) {
        Map<BigDecimal, List<Leaf>> byTime = new LinkedHashMap<>();
        Map<LwM2mPath, Type> types = new HashMap<>();
        for (SenmlReader.Entry entry : entries) {
            try {
                Type expected = types.computeIfAbsent(entry.path(), path -> ValueTypes.of(path, model));
                Type type = expected == null ? ValueTypes.own(entry.value()) : expected;
                Leaf leaf = new Leaf(entry.path(), type, ValueTypes.converted(type, entry.value()));
                BigDecimal time = entry.seconds() == null ? null : plain(entry.seconds());
                byTime.computeIfAbsent(time, each -> new ArrayList<>(2)).add(leaf);
            } catch (RuntimeException e) {
                problems.add(entry.path() + ": " + e.getMessage());
            }
        }
        return byTime;
    }

    /** The same number whatever its scale, so that equal times are equal keys. */
    private static BigDecimal plain(BigDecimal seconds) {
        BigDecimal stripped = seconds.stripTrailingZeros();
        return stripped.scale() < 0 ? stripped.setScale(0) : stripped;
    }

    /**
     * Values of one time in rounds in which each path comes once. A value that only repeats the one before is the same
     * measurement, told twice.
     */
    private static List<List<Leaf>> rounds(List<Leaf> leaves) {
        if (leaves.size() == 1) {
            return List.of(leaves);
        }
        List<List<Leaf>> rounds = new ArrayList<>();
        Map<LwM2mPath, Integer> counts = new HashMap<>();
        Map<LwM2mPath, Leaf> last = new HashMap<>();
        for (Leaf leaf : leaves) {
            Leaf before = last.put(leaf.path(), leaf);
            if (before != null && before.type() == leaf.type() && Objects.deepEquals(before.value(), leaf.value())) {
                continue;
            }
            int round = counts.merge(leaf.path(), 1, Integer::sum) - 1;
            if (round == rounds.size()) {
                rounds.add(new ArrayList<>(2));
            }
            rounds.get(round).add(leaf);
        }
        return rounds;
    }

    /** Nodes of values of one moment: as observed if paths are given, else one a value. */
    private static Map<LwM2mPath, LwM2mNode> nodes(List<Leaf> leaves, List<LwM2mPath> paths) {
        if (paths.isEmpty() && leaves.size() == 1) {
            Leaf only = leaves.get(0);
            return Map.of(only.path(), NodeTree.of(only.path(), leaves));
        }
        Map<LwM2mPath, LwM2mNode> nodes = new LinkedHashMap<>();
        List<Leaf> rest = new ArrayList<>(leaves);
        for (LwM2mPath path : paths) {
            List<Leaf> below = leaves.stream().filter(leaf -> leaf.path().startWith(path)).toList();
            if (below.isEmpty()) {
                continue;
            }
            try {
                nodes.put(path, NodeTree.of(path, below));
                rest.removeIf(leaf -> leaf.path().startWith(path));
            } catch (RuntimeException e) {
                // they do not make one node (a resource that is single and multiple): below they are told one by one
                continue;
            }
        }
        rest.forEach(leaf -> nodes.put(leaf.path(), NodeTree.of(leaf.path(), List.of(leaf))));
        return nodes;
    }

    private static List<Sample> ordered(List<Sample> samples) {
        samples.sort(Comparator.comparing(Sample::time, Comparator.nullsLast(Comparator.naturalOrder())));
        return samples;
    }
}
