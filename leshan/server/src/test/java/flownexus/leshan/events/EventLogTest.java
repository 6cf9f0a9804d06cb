package flownexus.leshan.events;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;

import flownexus.leshan.journal.Journal;

class EventLogTest {

    @TempDir
    Path folder;

    @Test
    void whatADeviceSendsNeitherForgesNorFillsALogLine() throws Exception {
        Logger logger = (Logger) LoggerFactory.getLogger("flownexus.events");
        ListAppender<ILoggingEvent> lines = new ListAppender<>();
        lines.start();
        logger.addAppender(lines);
        logger.setLevel(Level.INFO);
        try (Journal journal = Journal.open(folder.resolve("journal"), 1 << 20)) {
            new EventLog(journal).publish("UNDECODED", "a\u001b[31m", "record 'x\u001b[2J'" + "y".repeat(100_000),
                    json -> json.writeNull());
        } finally {
            logger.detachAppender(lines);
            logger.setLevel(null);
        }
        assertEquals(1, lines.list.size());
        String line = lines.list.get(0).getFormattedMessage();
        assertTrue(line.chars().noneMatch(Character::isISOControl), line);
        assertTrue(line.length() < 500);
    }
}
