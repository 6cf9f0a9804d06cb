package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The format of docs/device-logs.md. */
class LogMessageTest {

    /** As in the document. */
    private static final String EXAMPLE = "0100" + "1a2b3c4d" + "00000007" + "00000002" + "00000001e240"
            + "f8c007" + "43" + "6e6574" + "0b" + "7765616b207369676e616c"
            + "c801" + "86" + "73656e736f72" + "08" + "32312e3520c2b043";

    /** What a message says; read anew from the document, not with the code that writes. */
    record Read(int boot, long first, long lost, long uptime, List<LogLine> lines) {
    }

    static Read read(byte[] message) {
        Cursor in = new Cursor(message);
        assertEquals(1, in.number(1), "version");
        in.number(1);
        Read read = new Read((int) in.number(4), in.number(4), in.number(4), in.number(6), new ArrayList<>());
        long uptime = 0;
        while (in.at < message.length) {
            uptime += in.varint();
            int head = (int) in.number(1);
            byte[] module = in.bytes(head & 31);
            byte[] text = in.bytes((int) in.varint());
            read.lines.add(new LogLine(read.first + read.lines.size(), uptime, LogSeverity.values()[(head >> 5) - 1],
                    module, text));
        }
        return read;
    }

    private static final class Cursor {
        private final byte[] data;
        private int at;

        Cursor(byte[] data) {
            this.data = data;
        }

        long number(int bytes) {
            long value = 0;
            for (int i = 0; i < bytes; i++) {
                value = value << 8 | data[at++] & 0xff;
            }
            return value;
        }

        long varint() {
            long value = 0;
            int shift = 0;
            while (true) {
                byte octet = data[at++];
                value |= (octet & 0x7fL) << shift;
                if (octet >= 0) {
                    return value;
                }
                shift += 7;
            }
        }

        byte[] bytes(int length) {
            at += length;
            return java.util.Arrays.copyOfRange(data, at - length, at);
        }
    }

    @Test
    void theDocumentsExample() {
        List<LogLine> lines = List.of(LogLine.of(7, 123_000, LogSeverity.WARNING, "net", "weak signal", 400),
                LogLine.of(8, 123_200, LogSeverity.DEBUG, "sensor", "21.5 °C", 400));
        byte[] message = new LogMessage(0x1a2b3c4d, 7, 2, 123_456, lines).encode();
        assertEquals(EXAMPLE, HexFormat.of().formatHex(message));
        Read read = read(message);
        assertEquals(0x1a2b3c4d, read.boot());
        assertEquals(7, read.first());
        assertEquals(2, read.lost());
        assertEquals(123_456, read.uptime());
        assertEquals(List.of("weak signal", "21.5 °C"), read.lines().stream().map(LogLine::lineText).toList());
        assertEquals(123_200, read.lines().get(1).uptime());
    }

    @Test
    void aMessageWithoutLines() {
        byte[] message = new LogMessage(-1, 0xffff_fffeL, 3, 0xffff_ffff_ffffL, List.of()).encode();
        assertEquals("0100" + "ffffffff" + "fffffffe" + "00000003" + "ffffffffffff", HexFormat.of().formatHex(message));
    }

    @ParameterizedTest
    @CsvSource({ "0,00", "1,01", "127,7f", "128,8001", "16383,ff7f", "16384,808001", "281474976710655,ffffffffffff3f" })
    void uptimesAreVarints(long uptime, String hex) {
        LogLine line = LogLine.of(0, uptime, LogSeverity.ERROR, "", "", 400);
        byte[] message = new LogMessage(0, 0, 0, uptime, List.of(line)).encode();
        assertEquals(hex + "2000", HexFormat.of().formatHex(message).substring(40));
        assertEquals(message.length - LogMessage.HEADER, LogMessage.size(line, 0));
    }

    @Test
    void whatIsTooLongIsCutBetweenCharacters() {
        LogLine line = LogLine.of(0, 0, LogSeverity.INFO, "m".repeat(30) + "ü", "aé€😀", 9);
        assertEquals("m".repeat(30), line.moduleText());
        assertEquals("aé€", line.lineText());
        assertArrayEquals("aé€😀".getBytes(StandardCharsets.UTF_8),
                LogLine.of(0, 0, LogSeverity.INFO, "", "aé€😀", 10).text());
        assertEquals("", LogLine.of(0, 0, LogSeverity.INFO, "", "😀", 3).lineText());
    }
}
