package flownexus.fleet;

/** How grave a log line is; the numbers are those of the log message, and of the log level. */
enum LogSeverity {
    ERROR, WARNING, INFO, DEBUG;

    /** 1 to 4. */
    int number() {
        return ordinal() + 1;
    }
}
