package flownexus.fleet;

import java.util.random.RandomGenerator;

/** A cell that lasts for months: it drains with time and with every message, and is changed when it is empty. */
final class Battery {

    /** Share of the whole charge that one message takes. */
    private static final double PER_MESSAGE = 1e-7;
    private static final double EMPTY = 0.02;

    private final double perSecond;
    private double charge;

    Battery(RandomGenerator random) {
        charge = random.nextDouble(0.55, 1);
        double days = random.nextDouble(60, 400);
        perSecond = 1 / (days * 86_400);
    }

    /** @param seconds since the last call; @param messages sent in that time */
    synchronized void drain(double seconds, long messages) {
        charge -= seconds * perSecond + messages * PER_MESSAGE;
        if (charge < EMPTY) {
            charge = 1;
        }
    }

    /** In percent. */
    synchronized int level() {
        return (int) Math.round(charge * 100);
    }

    /** In millivolts: a lithium cell's, almost flat but for its ends. */
    synchronized int millivolts() {
        return (int) Math.round(3000 + 600 * charge + 400 * Math.pow(charge, 6));
    }
}
