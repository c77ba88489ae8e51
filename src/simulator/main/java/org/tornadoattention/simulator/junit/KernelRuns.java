package org.tornadoattention.simulator.junit;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.stream.Collectors;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.KernelStatistics;
import org.tornadoattention.simulator.SimulatorFaultException;

/** What the kernels of a test with {@link SimulatedKernels} did, from its {@code @BeforeEach} methods on. */
public final class KernelRuns {

    private final List<KernelStatistics> runs = new ArrayList<>();
    private final List<SimulatorFaultException> faults = new ArrayList<>();

    KernelRuns() {}

    synchronized void ran(KernelStatistics statistics) {
        runs.add(statistics);
    }

    synchronized void failed(SimulatorFaultException fault) {
        faults.add(fault);
    }

    /**
     * Returns what ran.
     *
     * @return one entry for each launch of a kernel, in order
     */
    public synchronized List<KernelStatistics> all() {
        return List.copyOf(runs);
    }

    /**
     * Returns what the last launch of a task did.
     *
     * @param task the task, as {@code graph.task}
     * @return the statistics of the launch
     * @throws NoSuchElementException if the task did not run
     */
    public KernelStatistics of(String task) {
        return all().reversed().stream()
                .filter(run -> run.task().equals(task))
                .findFirst()
                .orElseThrow(() -> new NoSuchElementException("Task " + task + " did not run; " + whatRan()));
    }

    /**
     * Returns what the only launch of the test did.
     *
     * @return the statistics of the launch
     * @throws NoSuchElementException if there was none, or more than one
     */
    public KernelStatistics only() {
        List<KernelStatistics> all = all();
        if (all.size() != 1) {
            throw new NoSuchElementException("There is not one launch but " + all.size() + "; " + whatRan());
        }
        return all.getFirst();
    }

    private String whatRan() {
        List<KernelStatistics> all = all();
        return all.isEmpty()
                ? "no kernel ran"
                : "what ran was " + all.stream().map(KernelStatistics::task).collect(Collectors.joining(", "));
    }

    /**
     * Runs code in which the simulator is to find a fault, which then does not fail the test.
     *
     * @param kind the kind of the fault
     * @param code what executes a plan, or reads an array whose content is on the device
     * @return the fault, whose message says where and what
     * @throws AssertionError if there was none, or one of another kind
     */
    public SimulatorFaultException expectFault(FaultKind kind, Code code) {
        int before = faults().size();
        Throwable thrown = null;
        try {
            code.run();
        } catch (Throwable t) {
            thrown = t;
        }
        List<SimulatorFaultException> found = faults();
        if (found.size() == before) {
            throw new AssertionError(
                    "expected a fault of kind " + kind + " (" + kind.title() + "); none was found", thrown);
        }
        SimulatorFaultException fault = found.get(before);
        if (fault.kind() != kind) {
            throw new AssertionError("expected a fault of kind " + kind + "; found was " + fault.kind(), fault);
        }
        synchronized (this) {
            faults.subList(before, faults.size()).clear();
        }
        return fault;
    }

    /** Code of a test. */
    @FunctionalInterface
    public interface Code {

        /**
         * Runs it.
         *
         * @throws Exception whatever it throws
         */
        void run() throws Exception;
    }

    synchronized List<SimulatorFaultException> faults() {
        return List.copyOf(faults);
    }
}
