package flownexus.fleet;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

/**
 * How devices log.
 *
 * @param on whether they have object 20 at all
 * @param interval between two lines of one device, on average
 * @param delay after which a line goes out, in whatever company
 * @param messageBytes largest log message
 * @param lines most lines in a device's memory
 * @param memory most bytes in a device's memory
 * @param level 0 to 4, what devices keep at first
 * @param storms lines a second, by endpoint, of devices gone mad
 * @param file where all lines are written to as well; null: nowhere
 */
record LogSettings(boolean on, Duration interval, Duration delay, int messageBytes, int lines, int memory, int level,
        Map<String, Integer> storms, Path file) {
}
