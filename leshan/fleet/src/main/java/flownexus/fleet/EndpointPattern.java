package flownexus.fleet;

import java.util.HashSet;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Names for devices: {@code {n}} stands for the device's number from 1, {@code {n:04}} for the same with leading zeros.
 */
final class EndpointPattern {

    private static final Pattern PLACE = Pattern.compile("\\{n(?::0?([1-9]\\d?))?}");

    private final String text;

    /** @throws IllegalArgumentException with a message for the user if the pattern is of no use */
    EndpointPattern(String text) {
        if (text.isBlank()) {
            throw new IllegalArgumentException("the endpoint pattern is empty");
        }
        String rest = PLACE.matcher(text).replaceAll("");
        if (rest.contains("{n")) {
            throw new IllegalArgumentException(
                    "the endpoint pattern '" + text + "' has a place other than {n} or {n:04}");
        }
        this.text = text;
    }

    /** The name of device {@code number}, counted from 1. */
    String name(int number) {
        return PLACE.matcher(text).replaceAll(match -> {
            String width = match.group(1);
            String digits = width == null ? Integer.toString(number)
                    : String.format("%0" + width + "d", number);
            return Matcher.quoteReplacement(digits);
        });
    }

    /**
     * The names of devices 1 to {@code count}.
     *
     * @throws IllegalArgumentException if two of them would be the same
     */
    String[] names(int count) {
        String[] names = new String[count];
        Set<String> seen = new HashSet<>();
        for (int i = 0; i < count; i++) {
            names[i] = name(i + 1);
            if (!seen.add(names[i])) {
                throw new IllegalArgumentException("the endpoint pattern '" + text + "' gives " + count
                        + " devices the same name: put {n} into it");
            }
        }
        return names;
    }
}
