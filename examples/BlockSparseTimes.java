//SOURCES jbang/Setup.java
import java.util.Arrays;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.BlockMask;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.cli.Example;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Time against the share of tiles that a block mask leaves, as the right part of figure 2 of the FlashAttention paper
 * has it: every n-th diagonal of tiles is seen. {@code ./attention example BlockSparseTimes 65536 4 64 f16} is that of
 * tensor cores.
 */
class BlockSparseTimes {

    private static final int BLOCK = 128;
    private static final int MOST = 16;
    private static final int REPETITIONS = 5;

    static void main(String... arguments) {
        Example.run(BlockSparseTimes.class, "[LENGTH HEADS HEAD_DIM TYPE]", arguments, BlockSparseTimes::measure);
    }

    private static void measure(String[] arguments) {
        ComputeDevice device = Devices.best();
        int length = Example.number(arguments, 0, 4096, MOST * BLOCK);
        if (length % (MOST * BLOCK) != 0) {
            throw new IllegalArgumentException(
                    "The length is %d: it must be a multiple of %d.".formatted(length, MOST * BLOCK));
        }
        int heads = Example.number(arguments, 1, 2, 1);
        int headDim = Example.number(arguments, 2, 64, 1);
        DType type = arguments.length > 3 ? DType.parse(arguments[3]) : DType.F32;
        Tensor q = Tensor.random(type, 1, 1, heads, length, headDim);
        Tensor k = Tensor.random(type, 2, 1, heads, length, headDim);
        Tensor v = Tensor.random(type, 3, 1, heads, length, headDim);
        System.out.printf(
                "on %s: forward, %s, 1 x %d x %,d x %d, tiles of %d%n", device, type, heads, length, headDim, BLOCK);
        System.out.printf("%12s %10s %12s%n", "tiles seen", "ms", "of the time");
        try (FlashAttention attention = FlashAttention.on(device)) {
            double whole = 0;
            for (int every : new int[] {1, 2, 4, 8, MOST}) {
                AttentionOptions options = options(every, length, length);
                requireRight(attention.forward(q, k, v, options), q, k, v, options(every, BLOCK, length));
                double[] times = new double[REPETITIONS];
                for (int repetition = 0; repetition < REPETITIONS; repetition++) {
                    times[repetition] = attention
                                    .forward(q, k, v, options)
                                    .execution()
                                    .orElseThrow()
                                    .kernelTime()
                                    .toNanos()
                            / 1e6;
                }
                Arrays.sort(times);
                double median = times[REPETITIONS / 2];
                whole = every == 1 ? median : whole;
                System.out.printf("%10.1f %% %10.2f %10.1f %%%n", 100.0 / every, median, 100 * median / whole);
            }
        }
    }

    /** Every n-th diagonal of tiles. */
    private static AttentionOptions options(int every, int queries, int keys) {
        if (every == 1) {
            return AttentionOptions.defaults();
        }
        return AttentionOptions.defaults()
                .withMask(Mask.blocks(BlockMask.of(
                        (b, h, i, j) -> (i / BLOCK + j / BLOCK) % every == 0, 1, 1, queries, keys, BLOCK, BLOCK)));
    }

    /** The first tile's rows beside the oracle; all others have the same share of keys. */
    private static void requireRight(AttentionResult result, Tensor q, Tensor k, Tensor v, AttentionOptions ofRows) {
        int heads = q.heads();
        Tensor rows = q.block(new int[4], new int[] {1, heads, BLOCK, q.headDim()});
        Tensor output = result.output().block(new int[4], new int[] {1, heads, BLOCK, q.headDim()});
        Tensor logSumExp = result.logSumExp().block(new int[3], new int[] {1, heads, BLOCK});
        Example.requireRight(AccuracyCheck.of(rows, k, v, ofRows).forward(output, logSumExp));
    }
}
