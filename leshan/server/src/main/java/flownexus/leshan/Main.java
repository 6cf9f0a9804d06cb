package flownexus.leshan;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.LoggerContext;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/** The command line. */
@Command(name = "flownexus-leshan", mixinStandardHelpOptions = true, version = "flownexus-leshan 0.1.0", sortOptions = false,
        usageHelpWidth = 110,
        description = "LwM2M server: CoAP over DTLS towards devices, HTTP and a journal of events towards everything else.")
public final class Main implements Callable<Integer> {

    private static final org.slf4j.Logger LOG = LoggerFactory.getLogger(Main.class);

    private static final int FAILED = 1;
    /** What has not ended by then is left: nothing that was promised depends on it. */
    private static final long STOP_NANOS = TimeUnit.MILLISECONDS.toNanos(2500);

    @Mixin
    private Options options;

    private Main() {
    }

    /** Starts the server and stays until it is told to end. */
    public static void main(String[] arguments) {
        CommandLine command = new CommandLine(new Main());
        command.setParameterExceptionHandler((error, ignored) -> {
            fail(error.getCommandLine().getErr(), error.getMessage() + " (see --help)");
            return CommandLine.ExitCode.USAGE;
        });
        command.setExecutionExceptionHandler((error, failed, ignored) -> {
            if (error instanceof StartException) {
                fail(failed.getErr(), error.getMessage());
            } else {
                fail(failed.getErr(), "unexpected: " + error);
                LOG.error("at start", error);
            }
            return FAILED;
        });
        int code = command.execute(arguments);
        ((LoggerContext) LoggerFactory.getILoggerFactory()).stop();
        // not the normal end, which comes by a signal: help, a version, or a failure
        System.exit(code);
    }

    private static void fail(PrintWriter err, String message) {
        err.println("flownexus-leshan: " + message.lines().findFirst().orElse(""));
        err.flush();
    }

    @Override
    public Integer call() throws Exception {
        ((Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME)).setLevel(Level.toLevel(options.logLevel.name()));
        Application application = Application.start(options);
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            Thread watchdog = new Thread(() -> {
                LockSupport.parkNanos(STOP_NANOS);
                Runtime.getRuntime().halt(0);
            }, "shutdown-watchdog");
            watchdog.setDaemon(true);
            watchdog.start();
            application.stop();
            LOG.info("stopped");
            ended.countDown();
            ((LoggerContext) LoggerFactory.getILoggerFactory()).stop();
            // a signal's own exit status would be 143: this is the normal end
            Runtime.getRuntime().halt(0);
        }, "shutdown"));
        System.out.println(application.readyLine());
        System.out.flush();
        ended.await();
        return 0;
    }
}
