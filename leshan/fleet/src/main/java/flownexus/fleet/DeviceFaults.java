package flownexus.fleet;

import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** The faults of one device, and how often each has struck. */
final class DeviceFaults {

    private final String endpoint;
    private final FaultPlan plan;
    private final Operations operations;
    private final Map<Fault, Integer> done = new IdentityHashMap<>();

    DeviceFaults(String endpoint, FaultPlan plan, Operations operations) {
        this.endpoint = endpoint;
        this.plan = plan;
        this.operations = operations;
    }

    /**
     * The first fault that fits and is not used up, or null; counts as a time that it struck.
     *
     * @param path as in a request, with a leading slash
     * @param wanted what else must be true of it
     */
    Fault next(String path, Fault.Operation operation, Predicate<Fault> wanted) {
        List<Fault> planned = plan.current();
        if (planned.isEmpty()) {
            return null;
        }
        synchronized (done) {
            done.keySet().retainAll(planned);
            for (Fault fault : planned) {
                int before = done.getOrDefault(fault, 0);
                if (wanted.test(fault) && fault.concerns(endpoint, path, operation)
                        && (fault.times() == 0 || before < fault.times())) {
                    done.put(fault, before + 1);
                    operations.faulted(path);
                    return fault;
                }
            }
        }
        return null;
    }

    /** Whether a fault that struck is still in the plan. */
    boolean isPlanned(Fault fault) {
        return plan.current().contains(fault);
    }
}
