package flownexus.fleet;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class CommandLineTest {

    /** What the command line stands for. */
    static Settings settings(String... arguments) {
        Main main = new Main();
        // a later flag replaces an earlier one, so that tests can vary a common line
        new CommandLine(main).setOverwrittenOptionsAllowed(true).parseArgs(arguments);
        return main.settings();
    }

    @Test
    void defaults() {
        Settings settings = settings("--server", "coap://127.0.0.1");
        assertEquals(Settings.Mode.NOSEC, settings.mode());
        assertEquals(3, settings.count());
        assertEquals(Duration.ofSeconds(2), settings.interval());
        assertEquals(Duration.ofSeconds(2), settings.dtlsTimeout());
        assertEquals(4, settings.dtlsMaxRetransmissions());
        assertEquals(Duration.ofSeconds(93), settings.transmitWait());
        assertEquals(Duration.ofSeconds(197), settings.effectiveUpdatePeriod(settings.lifetime()));
        assertTrue(settings.connectionId());
    }

    @Test
    void flagsAreTaken(@TempDir Path folder) {
        Settings settings = settings("--server", "coaps://localhost:7000", "--credentials", folder.toString(),
                "--interval", "0.0166", "--ack-timeout", "0.5", "--max-retransmit", "1", "--no-connection-id",
                "--update-period", "7", "--lifetime", "60");
        assertEquals(Settings.Mode.X509, settings.mode());
        assertEquals(Duration.ofNanos(16_600_000), settings.interval());
        assertEquals(Duration.ofMillis(2250), settings.transmitWait());
        assertEquals(Duration.ofMillis(1500), settings.handshakeWait());
        assertEquals(Duration.ofSeconds(7), settings.effectiveUpdatePeriod(settings.lifetime()));
        assertFalse(settings.connectionId());
    }

    @Test
    void aShortLifetimeIsRenewedAtItsHalf() {
        Settings settings = settings("--server", "coap://127.0.0.1", "--lifetime", "60");
        assertEquals(Duration.ofSeconds(30), settings.effectiveUpdatePeriod(settings.lifetime()));
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            --server http://localhost                          | --server: 'http://localhost' is not
            --server coaps:nothing                             | --server: 'coaps:nothing' is not
            --server coaps://localhost                         | --credentials DIR is needed for x509
            --server coaps://localhost --credentials /nowhere  | --credentials: /nowhere is not a folder
            --server coaps://localhost --mode nosec            | --mode nosec needs a coap:// server
            --server coap://localhost --mode psk               | --mode psk needs a coaps:// server
            --server coap://localhost --mode rpk               | --mode: x509, psk or nosec, not 'rpk'
            --server coap://localhost --count 0                | --count must be at least 1
            --server coap://localhost --sleepers 4             | --sleepers: there are only 3 devices
            --server coap://localhost --interval 0             | --interval: 0.001 to
            --server coap://localhost --max-retransmit 11      | --max-retransmit must be at most 10
            --server coap://localhost --ports 65534            | --ports must be at most 65535
            --server coap://localhost --round-trip -1          | --round-trip: 0 to 60000
            --server coap://localhost --fault /3=odd           | --fault: 'odd' is no kind: bad_request,
            --server coap://localhost --fault /3@go=late       | --fault: 'go' is no operation: read,
            --server coap://localhost --fault 3/0=late         | --fault: '3/0=late' is not [ENDPOINT:]PATH
            --server coap://localhost --fault /3=silent:2      | --fault: '/3=silent:2': silent takes no seconds
            --server coap://localhost --fault /5=lost      | --fault: '/5=lost': lost needs the number of bytes, as in lost@4096
            --server coap://localhost --fault /5=slow@9    | --fault: '/5=slow@9': slow takes no bytes
            --server coap://localhost --fault /5=slow:x    | --fault: '/5=slow:x': slow:x is not a number of seconds
            --server coap://localhost --fault /5=hang-1:2  | --fault: '/5=hang-1:2': hang-1 takes no seconds
            --server coap://localhost --fault /5=other-version | --fault: '/5=other-version': other-version needs a text
            --server coap://localhost --fault /5/0/0=integrity | --fault: '/5/0/0=integrity': integrity is a fault of firmware
            --server coap://localhost --fault /3=no-space  | --fault: '/3=no-space': no-space is a fault of firmware
            --server coap://localhost --fault /3303=value  | --fault: '/3303=value': value needs a number, as in value:NaN
            --server coap://localhost --fault /3303=value:x | --fault: '/3303=value:x': value needs a number
            --server coap://localhost --fault /3/0/9=value:1 | --fault: '/3/0/9=value:1': value is a fault of values, its path is
            --server coap://localhost --fault /6=twice     | --fault: '/6=twice': twice is a fault of Sends
            --server coap://localhost --fault /3/0/13=clock:now | --fault: '/3/0/13=clock:now': clock needs a time
            --server coap://localhost --fault /3/0=drift:5 | --fault: '/3/0=drift:5': drift is a fault of the clock
            --server coap://localhost --fault /3303=conflict:2 | --fault: '/3303=conflict:2': conflict takes no seconds
            --server coap://localhost --log-storm sim-1:5  | --log-storm needs --logs
            --server coap://localhost --log-file lines     | --log-file needs --logs
            --server coap://localhost --logs --log-storm 5 | --log-storm: '5' is not ENDPOINT:LINES_PER_SECOND
            --server coap://localhost --logs --log-storm sim-1:0 | --log-storm: 'sim-1:0' is not
            --server coap://localhost --log-message-bytes 64 | --log-message-bytes must be at least 128
            --server coap://localhost --log-memory 100     | --log-memory must be at least 480
            --server coap://localhost --log-interval 0     | --log-interval: 0.001 to
            --server coap://localhost --device-log-level 5 | --device-log-level must be at most 4
            --server coap://localhost --firmware-method 3  | --firmware-method must be at most 2
            --server coap://localhost --firmware-protocols 0,6 | --firmware-protocols must be at most 5
            --server coap://localhost --firmware-instances 0 | --firmware-instances must be at least 1
            --server coap://localhost --firmware-object-version 2.0 | --firmware-object-version: 1.0 or 1.1
            --server coap://localhost --firmware-report-state-1 maybe | --firmware-report-state-1: yes or no
            --server coap://localhost --firmware-block-size 100 | --firmware-block-size: 16, 32,
            --server coap://localhost --install-seconds 0  | --install-seconds: 0.001 to
            --server coap://localhost --backoff 9 --backoff-max 8 | --backoff-max must not be less
            """)
    void mistakesAreNamed(String arguments, String message) {
        var exception = assertThrows(IllegalArgumentException.class, () -> settings(arguments.split(" ")));
        assertTrue(exception.getMessage().startsWith(message), exception.getMessage());
        assertEquals(1, exception.getMessage().lines().count());
    }

    @Test
    void firmwareFaultsAreUnderstood() {
        Fault lost = Fault.parse("sim-0*:/5/1=lost@300000:8.5*2");
        assertEquals(new Fault("sim-0*", "/5/1", null, Fault.Kind.LOST, 300_000, Duration.ofMillis(8500), "", 2), lost);
        assertTrue(lost.concerns("sim-01", "/5/1", null));
        assertFalse(lost.concerns("sim-01", "/5/0", null));
        assertFalse(lost.concerns("sim-1", "/5/1", null));
        assertEquals(Fault.Kind.SILENT_AT, Fault.parse("/5=silent@0").kind());
        assertEquals(Fault.Kind.SILENT, Fault.parse("/5=silent").kind());
        assertEquals(Fault.Kind.NO_SPACE, Fault.parse("/=no_space").kind());
        assertEquals(Fault.Kind.ACK_THEN_SILENT, Fault.parse("/=ack-then-silent").kind());
        assertEquals("1.2.3+4 beta", Fault.parse("/5=other-version:1.2.3+4 beta*1").text());
        assertEquals(Duration.ofSeconds(5), Fault.parse("a:b:/5=rollback").seconds());
        Fault literal = Fault.parse("a*b?[c]:/5=hang-2");
        assertTrue(literal.concerns("a*b?[c]", "/5/0", null));
        assertFalse(literal.concerns("axbyc", "/5/0", null));
    }

    @Test
    void faultsOfClocksAndValuesAreUnderstood() {
        assertEquals(new Fault(null, "/3303/0/5700", null, Fault.Kind.VALUE, 10, Duration.ZERO, "-Infinity", 3),
                Fault.parse("/3303/0/5700=value@10:-Infinity*3"));
        assertEquals(0, Fault.parse("/3304=value:1e308").number());
        Fault clock = Fault.parse("a:b:/3/0/13=clock:2038-01-19T03:14:07Z");
        assertEquals("a:b", clock.endpoint());
        assertEquals("2038-01-19T03:14:07Z", clock.text());
        assertEquals("-20.5", Fault.parse("sim-*:/3/0/13=drift:-20.5").text());
        assertEquals(Fault.Kind.TWICE, Fault.parse("/20/0/4014=twice").kind());
        assertEquals(Fault.Kind.CONFLICT, Fault.parse("/=conflict*1").kind());
    }

    @Test
    void logsAreTaken() {
        LogSettings logs = settings("--server", "coap://127.0.0.1").logs();
        assertFalse(logs.on());
        assertEquals(480, logs.messageBytes());
        logs = settings("--server", "coap://127.0.0.1", "--logs", "--log-storm", "a:b:7", "--log-storm", "c:90")
                .logs();
        assertTrue(logs.on());
        assertEquals(Map.of("a:b", 7, "c", 90), logs.storms());
        assertFalse(settings("--server", "coap://127.0.0.1", "--logs", "--no-logs").logs().on());
    }

    @ParameterizedTest
    @CsvSource({ "sim-{n},7,sim-7", "a{n:04}b,7,a0007b", "{n:2},123,123", "{n}/{n:3},5,5/005", "häus $1 {n},1,häus $1 1" })
    void namesFollowThePattern(String pattern, int number, String name) {
        assertEquals(name, new EndpointPattern(pattern).name(number));
    }

    @Test
    void namesMustDiffer() {
        assertArrayEquals(new String[] { "only" }, new EndpointPattern("only").names(1));
        assertThrows(IllegalArgumentException.class, () -> new EndpointPattern("only").names(2));
        assertThrows(IllegalArgumentException.class, () -> new EndpointPattern("sim-{n:x}"));
        assertThrows(IllegalArgumentException.class, () -> new EndpointPattern(" "));
    }
}
