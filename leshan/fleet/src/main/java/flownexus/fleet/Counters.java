package flownexus.fleet;

import java.util.concurrent.atomic.AtomicLong;

/** What happened to one device; see {@link Report} for the meaning of each figure. */
final class Counters {

    final AtomicLong registrations = new AtomicLong();
    final AtomicLong refusals = new AtomicLong();
    final AtomicLong losses = new AtomicLong();
    final AtomicLong produced = new AtomicLong();
    final AtomicLong sent = new AtomicLong();
    final AtomicLong acknowledged = new AtomicLong();
    final AtomicLong unacknowledged = new AtomicLong();
    final AtomicLong discarded = new AtomicLong();
    final AtomicLong sends = new AtomicLong();
    final AtomicLong wakes = new AtomicLong();
    final AtomicLong executes = new AtomicLong();
    final AtomicLong writes = new AtomicLong();
    final AtomicLong creates = new AtomicLong();
    final AtomicLong deletes = new AtomicLong();
    final AtomicLong reboots = new AtomicLong();
    final AtomicLong factoryResets = new AtomicLong();
    final AtomicLong logLines = new AtomicLong();
    final AtomicLong logAcknowledged = new AtomicLong();
    final AtomicLong logGivenUp = new AtomicLong();
    final AtomicLong logSends = new AtomicLong();
    final Operations operations = new Operations();
}
