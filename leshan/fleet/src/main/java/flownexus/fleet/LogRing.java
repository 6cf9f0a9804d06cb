package flownexus.fleet;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.LongSupplier;

/**
 * The memory of a device's log, bounded in lines and bytes: the oldest lines give way to new ones, but not those that
 * are on their way to the server at that moment. All of it is gone with a restart.
 */
final class LogRing {

    /** Is told what becomes of lines. Called with the ring's lock held: must not block. */
    interface Listener {
        void kept(int boot, LogLine line);

        /** The line's place was needed, or the device went down. */
        void givenUp(int boot, LogLine line);
    }

    /**
     * A message on its way.
     *
     * @param end sequence number behind its last line
     */
    record Batch(int boot, long end, byte[] message) {
    }

    /** Most that a varint of an uptime takes, the severity, and the varint of the longest text. */
    private static final int MAX_OVERHEAD = 10 + 1 + 5;

    private final int maxLines;
    private final int maxBytes;
    private final int messageBytes;
    private final LongSupplier millis;
    private final Listener listener;

    private final Deque<LogLine> waiting = new ArrayDeque<>();
    private int waitingBytes;
    private final List<LogLine> inFlight = new ArrayList<>();
    private Batch flight;
    private int boot;
    private long bootMillis;
    private long next;
    /** Lines of this boot that the server has: what else came before the oldest line here was given up. */
    private long delivered;
    /** Behind the last line that a read gave. */
    private long shown;
    private int level;
    private boolean stopped;

    /**
     * @param messageBytes largest message
     * @param millis a clock that never goes back
     * @param level lines up to this severity are kept
     */
    LogRing(int maxLines, int maxBytes, int messageBytes, int level, LongSupplier millis, Listener listener) {
        this.maxLines = maxLines;
        this.maxBytes = maxBytes;
        this.messageBytes = messageBytes;
        this.level = level;
        this.millis = millis;
        this.listener = listener;
        bootMillis = millis.getAsLong();
    }

    /** Power is back: an empty ring, another boot id, uptime 0. */
    synchronized void restart(int newBoot) {
        inFlight.forEach(line -> listener.givenUp(boot, line));
        waiting.forEach(line -> listener.givenUp(boot, line));
        inFlight.clear();
        waiting.clear();
        waitingBytes = 0;
        flight = null;
        next = 0;
        delivered = 0;
        shown = 0;
        stopped = false;
        boot = newBoot;
        bootMillis = millis.getAsLong();
    }

    /** Keeps a line, if the level wants it. @return whether it was kept */
    synchronized boolean append(LogSeverity severity, String module, String text) {
        if (stopped || severity.number() > level) {
            return false;
        }
        int maxText = messageBytes - LogMessage.HEADER - MAX_OVERHEAD - LogLine.MAX_MODULE;
        LogLine line = LogLine.of(next++, uptime(), severity, module, text, maxText);
        listener.kept(boot, line);
        waiting.addLast(line);
        waitingBytes += line.memory();
        shrink();
        return true;
    }

    private void shrink() {
        while (waiting.size() > maxLines || waitingBytes > maxBytes) {
            listener.givenUp(boot, removeFirst());
        }
    }

    private LogLine removeFirst() {
        LogLine line = waiting.removeFirst();
        waitingBytes -= line.memory();
        return line;
    }

    /** Packs the oldest lines for a Send. @return null: there are none, or a message is on its way already */
    synchronized Batch take() {
        if (flight != null || waiting.isEmpty()) {
            return null;
        }
        inFlight.addAll(fitting());
        inFlight.forEach(line -> removeFirst());
        flight = new Batch(boot, end(inFlight), pack(inFlight));
        return flight;
    }

    /** The server has it. Says nothing of a batch of a boot that is over. @return the number of lines */
    synchronized int arrived(Batch batch) {
        if (flight != batch) {
            return 0;
        }
        int lines = inFlight.size();
        delivered += lines;
        inFlight.clear();
        flight = null;
        return lines;
    }

    /** Nobody knows whether the server has it: its lines go out again. */
    synchronized void failed(Batch batch) {
        if (flight != batch) {
            return;
        }
        for (int i = inFlight.size() - 1; i >= 0; i--) {
            waiting.addFirst(inFlight.get(i));
            waitingBytes += inFlight.get(i).memory();
        }
        inFlight.clear();
        flight = null;
        shrink();
    }

    /**
     * The oldest message, for a read. While a message is on its way it is that one.
     *
     * @param forget whether the lines that the read before gave are forgotten, because no Send will bring them
     */
    synchronized byte[] read(boolean forget) {
        if (flight != null) {
            return flight.message();
        }
        while (forget && !waiting.isEmpty() && waiting.peekFirst().sequence() < shown) {
            removeFirst();
            delivered++;
        }
        List<LogLine> lines = fitting();
        shown = lines.isEmpty() ? shown : end(lines);
        return pack(lines);
    }

    /** The oldest waiting lines that have consecutive numbers and fit into a message. */
    private List<LogLine> fitting() {
        List<LogLine> lines = new ArrayList<>();
        int size = LogMessage.HEADER;
        LogLine previous = null;
        for (LogLine line : waiting) {
            size += LogMessage.size(line, previous == null ? 0 : previous.uptime());
            if (size > messageBytes || previous != null && line.sequence() != previous.sequence() + 1) {
                break;
            }
            lines.add(line);
            previous = line;
        }
        return lines;
    }

    private byte[] pack(List<LogLine> lines) {
        long first = lines.isEmpty() ? next : lines.get(0).sequence();
        return new LogMessage(boot, first, first - delivered, uptime(), lines).encode();
    }

    private static long end(List<LogLine> lines) {
        return lines.get(lines.size() - 1).sequence() + 1;
    }

    private long uptime() {
        return millis.getAsLong() - bootMillis;
    }

    /** Whether there is enough for a message that is as long as it may be. */
    synchronized boolean isMessageFull() {
        return waitingBytes >= messageBytes - LogMessage.HEADER;
    }

    /** Whether a line with a lower number waits. */
    synchronized boolean isWaitingBefore(long sequence) {
        return !waiting.isEmpty() && waiting.peekFirst().sequence() < sequence;
    }

    /** Lines that the server has not got yet, as far as the device knows. */
    synchronized int size() {
        return waiting.size() + inFlight.size();
    }

    synchronized long nextSequence() {
        return next;
    }

    synchronized int boot() {
        return boot;
    }

    synchronized int level() {
        return level;
    }

    synchronized void setLevel(int newLevel) {
        level = newLevel;
    }

    synchronized boolean isStopped() {
        return stopped;
    }

    synchronized void setStopped(boolean stop) {
        stopped = stop;
    }
}
