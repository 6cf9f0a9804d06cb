package flownexus.leshan.coap;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * What could not be understood of a payload: lines that can be shown anywhere, however long, odd or many the values are that
 * they tell of. A line that comes again is told once.
 */
final class Problems {

    private static final int MAX_LINES = 20;
    private static final int MAX_LENGTH = 200;

    private final Set<String> lines = new LinkedHashSet<>();
    private int more;

    void add(String problem) {
        String line = line(problem);
        if (lines.size() < MAX_LINES) {
            lines.add(line);
        } else if (!lines.contains(line)) {
            more++;
        }
    }

    void clear() {
        lines.clear();
        more = 0;
    }

    boolean isEmpty() {
        return lines.isEmpty();
    }

    List<String> lines() {
        List<String> told = new ArrayList<>(lines);
        if (more > 0) {
            told.add("and %d more".formatted(more));
        }
        return told;
    }

    /** One line of a bearable length that is valid Unicode. */
    static String line(String text) {
        String given = String.valueOf(text);
        StringBuilder line = new StringBuilder();
        given.codePoints().limit(MAX_LENGTH).forEach(each -> {
            boolean odd = Character.isISOControl(each) || each >= Character.MIN_SURROGATE && each <= Character.MAX_SURROGATE
                    || each == '\u2028' || each == '\u2029';
            line.appendCodePoint(odd ? '?' : each);
        });
        return given.length() > MAX_LENGTH && given.codePointCount(0, given.length()) > MAX_LENGTH ? line + "…"
                : line.toString();
    }
}
