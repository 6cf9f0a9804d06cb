package flownexus.leshan.events;

/** Foreign text in log lines: what a device sends must not forge a line or fill the log. */
public final class LogText {

    private static final int MAX_LENGTH = 200;

    private LogText() {
    }

    /** The text with control characters replaced, cut to a bearable length. */
    public static String of(String text) {
        if (text == null) {
            return "-";
        }
        String cut = text.length() <= MAX_LENGTH ? text : text.substring(0, MAX_LENGTH) + "…";
        for (int index = 0; index < cut.length(); index++) {
            if (Character.isISOControl(cut.charAt(index)) || cut.charAt(index) == '\u2028') {
                return cut.replaceAll("[\\p{Cntrl}\u2028\u2029]", "?");
            }
        }
        return cut;
    }
}
