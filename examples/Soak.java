//SOURCES jbang/Setup.java
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * The same few small problems over and over, each result compared bit by bit with the first, which an oracle has
 * checked, in an output that holds NaN before each launch: for faults that show once in thousands of launches. Start
 * several of them at once to put a device under load.
 */
@Command(
        name = "attention example Soak",
        description = {
            "Runs a few small problems over and over and compares each result with the first, bit by bit. Every failure is a"
                    + " line, the last line counts. The exit code is 1 where a result was wrong or a launch failed or hung.",
            ""
        },
        usageHelpAutoWidth = true,
        sortOptions = false)
class Soak implements Callable<Integer> {

    record Problem(String name, AttentionKernel kernel, DType dtype, int batch, int queries, int keys, int headDim) {}

    static final List<Problem> PROBLEMS = List.of(
            new Problem("standard 17 x 17", AttentionKernel.STANDARD, DType.F32, 1, 17, 17, 16),
            new Problem("online 33 x 65", AttentionKernel.ONLINE, DType.F32, 2, 33, 65, 32),
            new Problem("tiled 33 x 65", AttentionKernel.TILED, DType.F32, 2, 33, 65, 32),
            new Problem("tiled 113 x 203 BF16", AttentionKernel.TILED, DType.BF16, 1, 113, 203, 64));

    /** What a driver gets, beyond the time that was asked for, before a launch counts as hung. */
    private static final int GRACE_SECONDS = 30;

    private static final int PROGRESS_SECONDS = 10;

    private static final AttentionOptions OPTIONS = AttentionOptions.causal();

    @Option(names = "--seconds", paramLabel = "S", description = "How long, in all. Default: ${DEFAULT-VALUE}.")
    int seconds = 60;

    @Option(names = "--rounds", paramLabel = "N", description = "At most so many launches of each problem.")
    int rounds = Integer.MAX_VALUE;

    @Option(names = "--backend", paramLabel = "NAME", description = "cuda, opencl, ptx, … Default: the best.")
    Optional<Backend> backend = Optional.empty();

    @Option(
            names = {"-h", "--help"},
            usageHelp = true,
            description = "Show this help and exit.")
    boolean help;

    private final long start = System.nanoTime();
    private volatile String current = "";
    private final AtomicLong launches = new AtomicLong();
    private final AtomicLong wrong = new AtomicLong();
    private final AtomicLong failed = new AtomicLong();

    /** A problem, the plan that computes it, its first result, and the tensor that later ones are written to. */
    private record Repeated(
            Problem problem,
            FlashAttention attention,
            Tensor q,
            Tensor k,
            Tensor v,
            AttentionResult first,
            Tensor output) {}

    static void main(String... arguments) {
        Example.run(new Soak(), arguments);
    }

    @Override
    public Integer call() {
        Example.requireAtLeast(1, "--seconds", seconds);
        Example.requireAtLeast(1, "--rounds", rounds);
        // Kernels of the ladder are asked for by name: the JVM engine has none of them.
        ComputeDevice device = backend.map(asked -> Devices.find(Optional.of(asked), Optional.empty()))
                .orElseGet(Devices::bestForTaskGraphs);
        print("Device: " + device);
        Thread.ofPlatform().daemon().name("soak-watch").start(this::watch);
        List<Repeated> repeated = new ArrayList<>();
        try {
            PROBLEMS.forEach(problem -> repeated.add(begin(problem, device)));
            for (int round = 1; round < rounds && elapsed() < seconds; round++) {
                for (Repeated each : repeated) {
                    launch(each, round);
                }
            }
        } finally {
            print(summary());
            repeated.forEach(each -> each.attention().close());
        }
        return wrong.get() + failed.get() == 0 ? 0 : 1;
    }

    private Repeated begin(Problem problem, ComputeDevice device) {
        Tensor q = Tensor.random(problem.dtype(), 1, problem.batch(), 2, problem.queries(), problem.headDim());
        Tensor k = Tensor.random(problem.dtype(), 2, problem.batch(), 2, problem.keys(), problem.headDim());
        Tensor v = Tensor.random(problem.dtype(), 3, problem.batch(), 2, problem.keys(), problem.headDim());
        current = problem.name();
        FlashAttention attention = FlashAttention.on(device, problem.kernel());
        AttentionResult first = attention.forward(q, k, v, OPTIONS);
        launches.incrementAndGet();
        boolean right = AccuracyCheck.of(q, k, v, OPTIONS).forward(first.output(), first.logSumExp()).stream()
                .allMatch(Comparison::passed);
        if (!right) {
            wrong.incrementAndGet();
            print(problem.name() + ": the first result is wrong");
        }
        return new Repeated(problem, attention, q, k, v, first, Tensor.allocate(problem.dtype(), q.shape()));
    }

    private void launch(Repeated each, int round) {
        current = each.problem().name();
        try {
            // What a launch leaves out stays NaN, rather than what the one before it wrote.
            each.output().fill(Float.NaN);
            AttentionResult again = each.attention().forward(each.q(), each.k(), each.v(), OPTIONS, each.output());
            String difference = difference(each.first().output(), again.output())
                    + difference(each.first().logSumExp(), again.logSumExp());
            if (!difference.isEmpty()) {
                wrong.incrementAndGet();
                print("%s, round %,d: %s".formatted(current, round, difference));
            }
        } catch (AttentionException e) {
            failed.incrementAndGet();
            print("%s, round %,d: %s".formatted(current, round, e.getMessage()));
        }
        launches.incrementAndGet();
    }

    /**
     * Tells how far it is, so that what a crash leaves says where it was, and ends a process that hangs in a driver.
     */
    private void watch() {
        try {
            while (elapsed() < seconds + GRACE_SECONDS) {
                Thread.sleep(PROGRESS_SECONDS * 1000L);
                print("%d s: %s; at %s".formatted(elapsed(), summary(), current));
            }
            failed.incrementAndGet();
            print("%s hangs: its launch has not ended %d s after the time was up".formatted(current, GRACE_SECONDS));
            print(summary());
            Runtime.getRuntime().halt(1);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private long elapsed() {
        return (System.nanoTime() - start) / 1_000_000_000;
    }

    private String summary() {
        return "%,d launches, %,d wrong, %,d failed".formatted(launches.get(), wrong.get(), failed.get());
    }

    /** With the process in each line, since several write to one terminal. */
    private static void print(String line) {
        System.out.println("[" + ProcessHandle.current().pid() + "] " + line);
        System.out.flush();
    }

    /** Where two tensors differ, by rows of the last axis; empty where they do not. */
    static String difference(Tensor first, Tensor again) {
        if (first.array().getSegment().mismatch(again.array().getSegment()) < 0) {
            return "";
        }
        float[] expected = first.toFloatArray();
        float[] found = again.toFloatArray();
        int width = first.shape()[first.shape().length - 1];
        int[] rows = IntStream.range(0, expected.length)
                .filter(i -> Float.floatToRawIntBits(expected[i]) != Float.floatToRawIntBits(found[i]))
                .map(i -> i / width)
                .distinct()
                .toArray();
        return "rows %s of %s differ; "
                .formatted(Arrays.toString(Arrays.copyOf(rows, Math.min(8, rows.length))), first);
    }
}
