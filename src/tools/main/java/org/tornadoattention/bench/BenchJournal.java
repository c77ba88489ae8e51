package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.choice.AttentionKernel;

/** The results of a run so far; what a Ctrl-C finds. */
public final class BenchJournal {

    private final String preset;
    private final Environment environment;
    private final List<BenchResult> results = new ArrayList<>();
    private @Nullable Ceilings ceilings;
    private long flushedBytes;
    private boolean complete;

    /** An empty journal of a preset, or of {@code by hand}. */
    public BenchJournal(String preset, Environment environment) {
        this.preset = preset;
        this.environment = environment;
    }

    /** Notes the ceilings. */
    public synchronized void ceilings(Ceilings measured) {
        ceilings = measured;
    }

    /** Notes how many bytes were flushed before each execution. */
    public synchronized void flushedBytes(long bytes) {
        flushedBytes = bytes;
    }

    /** Adds a result and returns it as it stands beside those before it. */
    public synchronized BenchResult add(BenchResult result) {
        results.add(result);
        return file().results().getLast();
    }

    /** What an execution will take, by the kernel's best throughput on problems of the same pass and type so far. */
    public synchronized OptionalDouble expectedSeconds(BenchCase problem, AttentionKernel kernel) {
        OptionalDouble teraflops = results.stream()
                .filter(result -> result.timing() != null
                        && result.kernel().equals(kernel.id())
                        && result.measured().pass() == problem.pass()
                        && result.measured().dtype() == problem.dtype())
                .mapToDouble(result -> result.requireTiming().teraflops())
                .max();
        return teraflops.isEmpty() ? teraflops : OptionalDouble.of(problem.flops() / teraflops.getAsDouble() / 1e12);
    }

    /** Notes that all has been measured. */
    public synchronized void finish() {
        complete = true;
    }

    /** Whether {@link #finish} was called. */
    public synchronized boolean isComplete() {
        return complete;
    }

    /** All of it. */
    public synchronized BenchFile file() {
        return BenchFile.of(preset, complete, environment, ceilings, flushedBytes, results);
    }
}
