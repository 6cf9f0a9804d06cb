package flownexus.leshan;

import java.io.IOException;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.net.UnknownHostException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ScheduledExecutorService;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import flownexus.leshan.coap.LwM2mService;
import flownexus.leshan.events.EventLog;
import flownexus.leshan.events.TransferProgress;
import flownexus.leshan.http.HttpService;
import flownexus.leshan.journal.Journal;
import flownexus.leshan.models.ModelStore;
import flownexus.leshan.packages.GrantStore;
import flownexus.leshan.packages.PackageStore;
import flownexus.leshan.presence.PresenceService;
import flownexus.leshan.requests.RequestService;
import flownexus.leshan.requests.RequestStore;
import flownexus.leshan.security.CredentialStore;
import flownexus.leshan.security.Refusals;
import flownexus.leshan.security.ServerIdentity;
import flownexus.models.ObjectModels;

/** All parts of a running server, from checked options. */
public final class Application {

    private static final Logger LOG = LoggerFactory.getLogger(Application.class);

    /** Something to be ended; may fail. */
    private interface Closer {
        void close() throws Exception;
    }

    /** What is to be ended, the first of it last. */
    private final Deque<Closer> closers = new ArrayDeque<>();
    private LwM2mService lwm2m;
    private String httpAddress;
    private int httpPort;
    private int coapsPort;
    private Integer coapPort;

    private Application() {
    }

    /**
     * Starts a server.
     *
     * @throws StartException with one line that says what to do; nothing is left open then
     */
    static Application start(Options options) {
        Application application = new Application();
        try {
            application.open(options);
            return application;
        } catch (RuntimeException e) {
            application.stop();
            throw e;
        }
    }

    private void open(Options options) {
        checkRanges(options);
        InetAddress http = address(options.httpHost, "--http-host");
        String token = token(options, http);
        ServerIdentity identity = ServerIdentity.load(options.certificate, options.key, options.anchors);
        ObjectModels models = models(options);
        FileChannel lock = lock(options.data);
        closers.push(lock::close);
        coapsPort = port(options.coapsPort, options.coapsHosts, "coaps");
        coapPort = options.coapPort == null ? null : Integer.valueOf(port(options.coapPort, options.coapHosts, "coap"));

        ScheduledExecutorService timer = Timers.create("timer");
        closers.push(timer::shutdownNow);
        // outlives the journal of events, whose last commits note the ends of requests here
        RequestStore asked = requestStore(options.data);
        closers.push(asked::close);
        Journal journal = journal(options);
        closers.push(journal::close);
        EventLog events = new EventLog(journal);
        CredentialStore credentials = credentials(options.data);
        ModelStore uploaded = uploadedModels(options.data, models);
        PresenceService presence = presence(options, timer, events);
        PackageStore packages = packages(options);
        GrantStore grants = grants(options.data, packages);
        LwM2mService.Settings settings = new LwM2mService.Settings(identity,
                addresses(options.coapsHosts, coapsPort, "--coaps-host"),
                coapPort == null ? List.of() : addresses(options.coapHosts, coapPort, "--coap-host"), options.lab);
        lwm2m = new LwM2mService(settings, models, credentials, events, new Refusals(events), presence,
                new LwM2mService.Firmware(packages, grants, new TransferProgress(events, timer)), timer);
        closers.push(lwm2m::stop);
        RequestService requests = new RequestService(asked, events, timer);
        closers.push(requests::stop);
        HttpService api = new HttpService(new InetSocketAddress(http, options.httpPort), token, lwm2m, credentials,
                uploaded, requests, new HttpService.Packages(packages, grants, options.packageHost),
                identity.chain().get(0), events, timer);
        closers.push(api::stop);

        if (options.lab) {
            LOG.warn("LAB MODE: anybody may register under any unknown name over plain CoAP, and the HTTP API needs no "
                    + "token. Never use this outside a laboratory.");
        }
        httpPort = api.start();
        lwm2m.start();
        if (!credentials.isEmpty()) {
            lwm2m.openCoaps();
        }
        httpAddress = http.getHostAddress().indexOf(':') < 0 ? http.getHostAddress() : "[" + http.getHostAddress() + "]";
        LOG.info("journal {} from {} to {}, {} credentials, {} object models", journal.id(), journal.first(),
                journal.last(), credentials.all().size(), models.all().size());
    }

    /** Says where it listens. */
    String readyLine() {
        return "ready: http://" + httpAddress + ":" + httpPort + " coaps:" + coapsPort
                + (coapPort == null ? "" : " coap:" + coapPort)
                + (lwm2m.isCoapsOpen() ? "" : " (coaps opens with the first credential)");
    }

    LwM2mService lwm2m() {
        return lwm2m;
    }

    int httpPort() {
        return httpPort;
    }

    int coapsPort() {
        return coapsPort;
    }

    Integer coapPort() {
        return coapPort;
    }

    /** Ends it: no more messages in, and what came is committed. */
    void stop() {
        while (!closers.isEmpty()) {
            try {
                closers.pop().close();
            } catch (Exception e) {
                LOG.error("while stopping", e);
            }
        }
    }

    private static void checkRanges(Options options) {
        checkPort(options.coapsPort, "--coaps-port");
        checkPort(options.httpPort, "--http-port");
        if (options.coapPort != null) {
            checkPort(options.coapPort, "--coap-port");
        }
        if (options.journalMebibytes < 1 || options.journalMebibytes > 1 << 20) {
            throw new StartException("--journal-size must be between 1 and 1048576 (MiB)");
        }
        if (options.packageMebibytes < 1 || options.packageMebibytes > 1024) {
            // a transfer has at most 2^20 blocks of 1 KiB (RFC 7959, 2.2)
            throw new StartException("--package-limit must be between 1 and 1024 (MiB)");
        }
        if (options.awakeSeconds < 1 || options.awakeSeconds > 86400) {
            throw new StartException("--awake-seconds must be between 1 and 86400");
        }
    }

    private static void checkPort(int port, String flag) {
        if (port < 0 || port > 65535) {
            throw new StartException(flag + " must be between 0 and 65535");
        }
    }

    private static InetAddress address(String host, String flag) {
        try {
            return InetAddress.getByName(host);
        } catch (UnknownHostException e) {
            throw new StartException(flag + " " + host + " is not an address of this machine", e);
        }
    }

    private static List<InetSocketAddress> addresses(List<String> hosts, int port, String flag) {
        if (hosts.isEmpty()) {
            return List.of(new InetSocketAddress(port));
        }
        return hosts.stream().map(host -> new InetSocketAddress(address(host, flag), port)).toList();
    }

    private static String token(Options options, InetAddress http) {
        if (options.tokenFile == null) {
            if (!http.isLoopbackAddress()) {
                throw new StartException("--http-host " + options.httpHost
                        + " can be reached by others: --token-file is required, with --lab too");
            }
            if (!options.lab) {
                throw new StartException("--token-file is required (without a token only with --lab)");
            }
            return null;
        }
        try {
            String token = Files.readString(options.tokenFile, StandardCharsets.UTF_8).lines().findFirst().orElse("")
                    .strip();
            if (token.isEmpty()) {
                throw new StartException("--token-file " + options.tokenFile + " has no token in its first line");
            }
            return options.lab && http.isLoopbackAddress() ? null : token;
        } catch (IOException e) {
            throw new StartException("--token-file " + options.tokenFile + " cannot be read", e);
        }
    }

    private static ObjectModels models(Options options) {
        try {
            return ObjectModels.load(options.models);
        } catch (IllegalArgumentException e) {
            throw new StartException(e.getMessage(), e);
        }
    }

    /** Creates the data folder and sees to it that no other server uses it. */
    private static FileChannel lock(Path data) {
        try {
            if (!Files.isDirectory(data)) {
                Files.createDirectories(data,
                        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
            }
            FileChannel channel = FileChannel.open(data.resolve("lock"),
                    Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE),
                    PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
            FileLock lock = channel.tryLock();
            if (lock == null) {
                channel.close();
                throw new StartException("--data " + data + " is used by another server");
            }
            return channel;
        } catch (OverlappingFileLockException e) {
            throw new StartException("--data " + data + " is used by another server", e);
        } catch (IOException e) {
            throw new StartException("--data " + data + " cannot be written: " + e, e);
        }
    }

    /** A port that can be opened; told now, because DTLS may be opened only later. */
    private static int port(int wanted, List<String> hosts, String scheme) {
        int port = wanted;
        for (InetSocketAddress address : addresses(hosts, wanted, "--" + scheme + "-host")) {
            try (DatagramSocket probe = new DatagramSocket(new InetSocketAddress(address.getAddress(), port))) {
                port = probe.getLocalPort();
            } catch (SocketException e) {
                throw new StartException("%s port %d cannot be opened on %s: is another process using it? (--%s-port)"
                        .formatted(scheme, port, address.getHostString(), scheme), e);
            }
        }
        return port;
    }

    private static Journal journal(Options options) {
        try {
            return Journal.open(options.data.resolve("journal"), (long) options.journalMebibytes << 20);
        } catch (IOException e) {
            throw new StartException("the journal in --data " + options.data + " cannot be used: " + e, e);
        }
    }

    private static RequestStore requestStore(Path data) {
        try {
            return new RequestStore(data.resolve("requests"));
        } catch (IOException e) {
            throw new StartException("the requests in --data " + data + " cannot be used: " + e, e);
        }
    }

    private static CredentialStore credentials(Path data) {
        Path file = data.resolve("credentials.json");
        try {
            return new CredentialStore(file);
        } catch (IOException e) {
            throw new StartException(file + " cannot be understood (move it away, and the credentials can be put again): "
                    + String.valueOf(e.getMessage()).lines().findFirst().orElse(""), e);
        }
    }

    private static PackageStore packages(Options options) {
        Path folder = options.data.resolve("packages");
        try {
            return new PackageStore(folder, (long) options.packageMebibytes << 20);
        } catch (IOException e) {
            throw new StartException(folder + " cannot be used: " + e, e);
        }
    }

    private static GrantStore grants(Path data, PackageStore packages) {
        Path file = data.resolve("grants.json");
        try {
            return new GrantStore(file, packages);
        } catch (IOException e) {
            throw new StartException(file + " cannot be understood (move it away, and packages can be granted again): "
                    + String.valueOf(e.getMessage()).lines().findFirst().orElse(""), e);
        }
    }

    private static ModelStore uploadedModels(Path data, ObjectModels models) {
        Path folder = data.resolve("models");
        try {
            return new ModelStore(folder, models);
        } catch (IOException e) {
            throw new StartException(folder + " cannot be used (move the file away, and the model can be put again): "
                    + String.valueOf(e.getMessage()).lines().findFirst().orElse(""), e);
        }
    }

    private static PresenceService presence(Options options, ScheduledExecutorService timer, EventLog events) {
        Path file = options.data.resolve("awake.json");
        try {
            return new PresenceService(file, options.awakeSeconds, timer, (endpoint, awake) -> events.publish(
                    awake ? "AWAKE" : "SLEEPING", endpoint, "", json -> {
                        json.writeStartObject();
                        json.writeStringField("ep", endpoint);
                        json.writeNumberField("time", System.currentTimeMillis());
                        json.writeEndObject();
                    }));
        } catch (IOException e) {
            throw new StartException(file + " cannot be understood (move it away): "
                    + String.valueOf(e.getMessage()).lines().findFirst().orElse(""), e);
        }
    }
}
