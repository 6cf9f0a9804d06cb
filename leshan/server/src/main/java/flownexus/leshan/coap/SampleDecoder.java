package flownexus.leshan.coap;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import org.eclipse.leshan.core.link.lwm2m.DefaultLwM2mLinkParser;
import org.eclipse.leshan.core.link.lwm2m.LwM2mLinkParser;
import org.eclipse.leshan.core.model.LwM2mModel;
import org.eclipse.leshan.core.model.ResourceModel;
import org.eclipse.leshan.core.node.LwM2mNode;
import org.eclipse.leshan.core.node.LwM2mPath;
import org.eclipse.leshan.core.node.TimestampedLwM2mNode;
import org.eclipse.leshan.core.node.TimestampedLwM2mNodes;
import org.eclipse.leshan.core.node.codec.CodecException;
import org.eclipse.leshan.core.node.codec.DefaultLwM2mDecoder;
import org.eclipse.leshan.core.node.codec.LwM2mDecoder;
import org.eclipse.leshan.core.node.codec.senml.LwM2mNodeSenMLDecoder;
import org.eclipse.leshan.core.request.ContentFormat;
import org.eclipse.leshan.senml.SenMLDecoder;
import org.eclipse.leshan.senml.SenMLException;
import org.eclipse.leshan.senml.SenMLPack;
import org.eclipse.leshan.senml.SenMLRecord;
import org.eclipse.leshan.senml.cbor.upokecenter.SenMLCborUpokecenterEncoderDecoder;
import org.eclipse.leshan.senml.json.jackson.SenMLJsonJacksonEncoderDecoder;

/**
 * Decodes what devices send on their own: Sends and notifications. Unlike Leshan's decoder it keeps every value that can be
 * understood when others cannot, several values of one path at one time, and the times of devices that have no clock.
 */
final class SampleDecoder {

    /** Below this a SenML time is relative to now (RFC 8428, 4.5.3). */
    private static final BigDecimal RELATIVE_BELOW = BigDecimal.valueOf(1L << 28);
    /** Beyond this (the year 300,000) it is no time that anybody can keep. */
    private static final BigDecimal MAX_SECONDS = new BigDecimal("1e13");
    private static final BigDecimal MILLIS = BigDecimal.valueOf(1000);
    private static final BigDecimal MICROSECOND_IN_MILLIS = new BigDecimal("0.001");

    /**
     * What a payload held.
     *
     * @param samples oldest first; those without a time last
     * @param errors what could not be understood, a line each
     * @param clockless whether the device's times count from its own start, so that they were rebased
     */
    record Decoded(List<Sample> samples, List<String> errors, boolean clockless) {
    }

    /** One SenML record with its name and time resolved. */
    private record Resolved(LwM2mPath path, BigDecimal seconds, SenMLRecord record) {
    }

    private final LwM2mDecoder decoder = new PayloadGuard();
    private final LwM2mLinkParser linkParser = new DefaultLwM2mLinkParser();
    private final Map<ContentFormat, SenMLDecoder> senml = Map.of(
            ContentFormat.SENML_JSON, new SenMLJsonJacksonEncoderDecoder(),
            ContentFormat.SENML_CBOR, new SenMLCborUpokecenterEncoderDecoder());

    /**
     * Decodes a payload.
     *
     * @param paths what was observed; empty for a Send
     * @param received when it came, ms since 1970
     * @throws CodecException if nothing of it can be understood
     */
    Decoded decode(byte[] payload, ContentFormat format, String rootPath, List<LwM2mPath> paths, LwM2mModel model,
            long received) {
        try {
            if (format == null) {
                throw new CodecException("the content format is missing");
            }
            if (senml.containsKey(format)) {
                PayloadGuard.check(payload, format);
                return decodeSenml(senml.get(format).fromSenML(payload).getRecords(), rootPath, paths, model, received);
            }
            return paths.size() == 1 ? decodeOther(payload, format, rootPath, paths.get(0), model)
                    : decodeOther(payload, format, rootPath, paths, model);
        } catch (SenMLException e) {
            throw new CodecException(e, "not SenML: %s", e.getMessage());
        } catch (CodecException e) {
            throw e;
        } catch (RuntimeException e) {
            throw new CodecException(e, "not decodable: %s", e);
        }
    }

    private Decoded decodeOther(byte[] payload, ContentFormat format, String rootPath, LwM2mPath path, LwM2mModel model) {
        List<Sample> samples = new ArrayList<>();
        for (TimestampedLwM2mNode node : decoder.decodeTimestampedData(payload, format, rootPath, path, model)) {
            BigDecimal time = node.isTimestamped() ? BigDecimal.valueOf(node.getTimestamp().toEpochMilli()) : null;
            samples.add(new Sample(time, null, Map.of(path, node.getNode())));
        }
        return new Decoded(ordered(samples), List.of(), false);
    }

    private Decoded decodeOther(byte[] payload, ContentFormat format, String rootPath, List<LwM2mPath> paths,
            LwM2mModel model) {
        TimestampedLwM2mNodes nodes = decoder.decodeTimestampedNodes(payload, format, rootPath,
                paths.isEmpty() ? null : paths, model);
        List<Sample> samples = new ArrayList<>();
        nodes.getTimestamps().forEach(time -> samples.add(new Sample(
                time == null ? null : BigDecimal.valueOf(time.toEpochMilli()), null, nodes.getNodesAt(time))));
        return new Decoded(ordered(samples), List.of(), false);
    }

    private Decoded decodeSenml(List<SenMLRecord> records, String rootPath, List<LwM2mPath> paths, LwM2mModel model,
            long received) {
        List<String> errors = new ArrayList<>();
        List<Resolved> resolved = resolve(records, rootPath, errors);
        BigDecimal newest = resolved.stream().map(Resolved::seconds)
                .filter(seconds -> seconds != null && seconds.compareTo(RELATIVE_BELOW) < 0)
                .max(Comparator.naturalOrder()).orElse(BigDecimal.ZERO);
        boolean clockless = newest.signum() > 0;

        List<Sample> samples = new ArrayList<>();
        byMoment(resolved).forEach((seconds, groups) -> {
            boolean relative = seconds != null && seconds.compareTo(RELATIVE_BELOW) < 0;
            BigDecimal millis = seconds == null ? null : seconds.multiply(MILLIS);
            if (relative) {
                millis = BigDecimal.valueOf(received).add(clockless ? millis.subtract(newest.multiply(MILLIS)) : millis);
            }
            for (int index = 0; index < groups.size(); index++) {
                Map<LwM2mPath, LwM2mNode> nodes = nodes(groups.get(index), paths, model, errors);
                if (!nodes.isEmpty()) {
                    BigDecimal time = millis == null ? null
                            : millis.add(MICROSECOND_IN_MILLIS.multiply(BigDecimal.valueOf(index)));
                    samples.add(new Sample(time, relative || index > 0 ? seconds : null, nodes));
                }
            }
        });
        if (resolved.isEmpty() && errors.isEmpty()) {
            samples.add(new Sample(null, null, nodes(List.of(), paths, model, errors)));
        }
        ordered(samples);
        if (samples.isEmpty() && !errors.isEmpty()) {
            throw new CodecException(String.join("; ", errors));
        }
        return new Decoded(samples, errors, clockless);
    }

    /** The same number whatever its scale, so that equal times are equal keys. */
    private static BigDecimal plain(BigDecimal seconds) {
        BigDecimal stripped = seconds.stripTrailingZeros();
        return stripped.scale() < 0 ? stripped.setScale(0) : stripped;
    }

    /** Records by time, in order; where a path comes again at a time, it is in that time's next group. */
    private static Map<BigDecimal, List<List<Resolved>>> byMoment(List<Resolved> records) {
        Map<BigDecimal, List<List<Resolved>>> byTime = new LinkedHashMap<>();
        Map<BigDecimal, Map<LwM2mPath, Integer>> seen = new HashMap<>();
        for (Resolved record : records) {
            BigDecimal time = record.seconds == null ? null : plain(record.seconds);
            List<List<Resolved>> groups = byTime.computeIfAbsent(time, each -> new ArrayList<>());
            int before = seen.computeIfAbsent(time, each -> new HashMap<>()).merge(record.path, 1, Integer::sum) - 1;
            if (before == groups.size()) {
                groups.add(new ArrayList<>());
            }
            groups.get(before).add(record);
        }
        return byTime;
    }

    /** Applies base names and base times (RFC 8428, 4.6); a record whose name is no path is left out with an error. */
    private static List<Resolved> resolve(List<SenMLRecord> records, String rootPath, List<String> errors) {
        String baseName = "";
        BigDecimal baseTime = null;
        String prefix = rootPath == null || rootPath.equals("/") ? "" : rootPath;
        List<Resolved> resolved = new ArrayList<>();
        for (SenMLRecord record : records) {
            baseName = record.getBaseName() == null ? baseName : record.getBaseName();
            baseTime = record.getBaseTime() == null ? baseTime : record.getBaseTime();
            if (record.getType() == null) {
                continue;
            }
            String name = record.getName() == null ? baseName : baseName + record.getName();
            BigDecimal seconds = baseTime;
            if (record.getTime() != null) {
                seconds = baseTime == null ? record.getTime() : baseTime.add(record.getTime());
            }
            try {
                LwM2mPath path = new LwM2mPath(name.startsWith(prefix) ? name.substring(prefix.length()) : name);
                if (!path.isResource() && !path.isResourceInstance()) {
                    throw new IllegalArgumentException("not the path of a resource");
                }
                if (seconds != null && seconds.abs().compareTo(MAX_SECONDS) > 0) {
                    throw new IllegalArgumentException("its time is out of range");
                }
                resolved.add(new Resolved(path, seconds, record));
            } catch (RuntimeException e) {
                errors.add("record '" + name + "': " + e.getMessage());
            }
        }
        return resolved;
    }

    /** Nodes of records of one moment: as observed if paths are given, else one a record. */
    private Map<LwM2mPath, LwM2mNode> nodes(List<Resolved> records, List<LwM2mPath> paths, LwM2mModel model,
            List<String> errors) {
        Map<LwM2mPath, LwM2mNode> nodes = new LinkedHashMap<>();
        List<Resolved> rest = new ArrayList<>(records);
        for (LwM2mPath path : paths) {
            List<Resolved> below = records.stream().filter(record -> record.path.startWith(path)).toList();
            if (below.isEmpty() && !(records.isEmpty() && paths.size() == 1)) {
                continue;
            }
            try {
                nodes.put(path, convert(below, path, model));
                rest.removeIf(record -> record.path.startWith(path));
            } catch (RuntimeException e) {
                // one bad value must not cost the others: below they are tried one by one
                continue;
            }
        }
        for (Resolved record : rest) {
            try {
                nodes.put(record.path, convert(List.of(record), record.path, model));
            } catch (RuntimeException e) {
                errors.add(record.path + ": " + e.getMessage());
            }
        }
        return nodes;
    }

    /** A TIME is kept in ms: Leshan's conversion from seconds would overflow without a word. */
    private static void checkTime(Resolved each, LwM2mModel model) {
        if (each.record.getNumberValue() != null) {
            ResourceModel resource = model.getResourceModel(each.path.getObjectId(), each.path.getResourceId());
            if (resource != null && resource.type == ResourceModel.Type.TIME
                    && Math.abs(each.record.getNumberValue().doubleValue()) > MAX_SECONDS.doubleValue()) {
                throw new IllegalArgumentException(each.record.getNumberValue() + " is out of range for a TIME");
            }
        }
    }

    /** Leshan's own conversion by the model's types, given records that have neither base nor time any more. */
    private LwM2mNode convert(List<Resolved> records, LwM2mPath path, LwM2mModel model) {
        records.forEach(each -> checkTime(each, model));
        List<SenMLRecord> plain = records.stream().map(each -> {
            SenMLRecord record = each.record;
            return new SenMLRecord(null, null, each.path.toString(), null, record.getNumberValue(),
                    record.getBooleanValue(), record.getObjectLinkValue(), record.getStringValue(),
                    record.getOpaqueValue());
        }).toList();
        SenMLDecoder given = ignored -> new SenMLPack(plain);
        return new LwM2mNodeSenMLDecoder(given, linkParser, true).decode(new byte[0], null, path, model,
                DefaultLwM2mDecoder.nodeClassFromPath(path));
    }

    private static List<Sample> ordered(List<Sample> samples) {
        samples.sort(Comparator.comparing(Sample::time, Comparator.nullsLast(Comparator.naturalOrder())));
        return samples;
    }
}
