package flownexus.leshan;

import java.nio.file.Path;
import java.util.List;

import picocli.CommandLine;
import picocli.CommandLine.Option;

/** The flags; {@code --help} shows these descriptions. */
@CommandLine.Command
public final class Options {

    /** How much is logged. */
    enum LogLevel {
        error, warn, info, debug, trace
    }

    @Option(names = "--data", required = true, paramLabel = "DIR",
            description = "Folder of the journal and the credentials; created with mode 0700.")
    Path data;

    @Option(names = "--coaps-port", paramLabel = "N", defaultValue = "5684",
            description = "UDP port of CoAP over DTLS; 0 for any that is free. Default: ${DEFAULT-VALUE}.")
    int coapsPort;

    @Option(names = "--coaps-host", paramLabel = "ADDR", arity = "1",
            description = "Address to open it on; may be repeated. Default: all interfaces, IPv4 and IPv6.")
    List<String> coapsHosts = List.of();

    @Option(names = "--coap-port", paramLabel = "N",
            description = "UDP port of plain CoAP; 0 for any that is free. Default: plain CoAP is off.")
    Integer coapPort;

    @Option(names = "--coap-host", paramLabel = "ADDR", arity = "1",
            description = "Address to open plain CoAP on; may be repeated. Default: all interfaces.")
    List<String> coapHosts = List.of();

    @Option(names = "--http-host", paramLabel = "ADDR", defaultValue = "127.0.0.1",
            description = "Address of the HTTP API. Any but a loopback address needs --token-file. "
                    + "Default: ${DEFAULT-VALUE}.")
    String httpHost;

    @Option(names = "--http-port", paramLabel = "N", defaultValue = "8080",
            description = "TCP port of the HTTP API; 0 for any that is free. Default: ${DEFAULT-VALUE}.")
    int httpPort;

    @Option(names = "--token-file", paramLabel = "FILE",
            description = "File whose first line is the bearer token that every HTTP call must carry. "
                    + "Required unless --lab.")
    Path tokenFile;

    @Option(names = "--cert", required = true, paramLabel = "FILE",
            description = "The server's certificate chain in PEM, its own certificate first.")
    Path certificate;

    @Option(names = "--key", required = true, paramLabel = "FILE",
            description = "The private key of that certificate in PEM (PKCS#8, elliptic curve).")
    Path key;

    @Option(names = "--ca", required = true, paramLabel = "FILE",
            description = "The trust anchors in PEM: only certificates that they issued are accepted from devices.")
    Path anchors;

    @Option(names = "--models", paramLabel = "DIR", arity = "1",
            description = "Folder with your own object models (DDF, *.xml); may be repeated.")
    List<Path> models = List.of();

    @Option(names = "--journal-size", paramLabel = "MIB", defaultValue = "256",
            description = "Bound of the journal on disk, in MiB; the oldest events go first. Default: ${DEFAULT-VALUE}.")
    int journalMebibytes;

    @Option(names = "--awake-seconds", paramLabel = "N", defaultValue = "93",
            description = "How long a device with queue mode is taken to be awake after anything was heard of it, "
                    + "unless set per device. Default: ${DEFAULT-VALUE}.")
    int awakeSeconds;

    @Option(names = "--package-limit", paramLabel = "MIB", defaultValue = "256",
            description = "The most that a firmware package may have, in MiB. Default: ${DEFAULT-VALUE}.")
    int packageMebibytes;

    @Option(names = "--package-host", paramLabel = "HOST",
            description = "Name or address that devices are told to fetch firmware packages from, unless the call that "
                    + "grants one names another. Default: for each device, the address of this machine towards it.")
    String packageHost;

    @Option(names = "--lab",
            description = "For protocol tests only: admits unknown names over plain CoAP, and needs no token.")
    boolean lab;

    @Option(names = "--log-level", paramLabel = "LEVEL", defaultValue = "info",
            description = "One of ${COMPLETION-CANDIDATES}. Default: ${DEFAULT-VALUE}.")
    LogLevel logLevel;
}
