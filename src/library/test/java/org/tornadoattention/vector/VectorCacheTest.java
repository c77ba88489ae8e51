package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** A cache beside the common tests of caches: threads and bits. */
@Tag("second-tier")
class VectorCacheTest {

    private static final int HEADS = 16;
    private static final int DIM = 128;
    private static final int PAGE = 100;
    private static final int PAGES = 20;

    /** Keys are shared among threads, and each part is summed in the same order by whoever takes it. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void theNumberOfThreadsChangesNoBit(boolean fp8) {
        List<Buffer> alone = run(1, fp8);
        for (int threads : new int[] {2, 3, 16}) {
            assertThat(run(threads, fp8))
                    .as("%d threads", threads)
                    .usingRecursiveComparison()
                    .isEqualTo(alone);
        }
    }

    private static List<Buffer> run(int threads, boolean fp8) {
        Tensor k = Tensor.random(DType.F16, 1, 2, 2, 1100, DIM);
        Tensor v = Tensor.random(DType.F16, 2, 2, 2, 1100, DIM);
        int[][] tables = new int[2][PAGES / 2];
        for (int page = 0; page < PAGES; page++) {
            tables[page % 2][page / 2] = page;
        }
        List<Buffer> results = new ArrayList<>();
        try (ExecutorService executor = Executors.newFixedThreadPool(threads);
                Arena arena = Arena.ofShared()) {
            long bytes = (long) PAGES * 2 * PAGE * DIM * (fp8 ? 1 : 2);
            MemorySegment keys = arena.allocate(bytes, 64);
            MemorySegment values = arena.allocate(bytes, 64);
            Optional<VectorCache.Quantized> quantized = fp8
                    ? Optional.of(new VectorCache.Quantized(ByteCoding.E4M3, new FloatArray(PAGES * 4)))
                    : Optional.empty();
            VectorCache cache = new VectorCache(
                    Workers.of(executor, threads),
                    new VectorCache.Memory(HEADS, 2, DIM, PAGE, DIM, DType.F16, keys, values, quantized),
                    new Rotation(turns(), 4, false),
                    0);
            int[] padding = {0, 3};
            cache.append(k, v, new int[] {990, 310}, new int[2], padding, tables);
            results.add(ByteBuffer.wrap(keys.toArray(ValueLayout.JAVA_BYTE)));
            results.add(ByteBuffer.wrap(values.toArray(ValueLayout.JAVA_BYTE)));
            for (int queries : new int[] {1, 5}) {
                Tensor q = Tensor.random(DType.F16, 3, 2, HEADS, queries, DIM);
                Tensor output = Tensor.allocate(DType.F16, q.shape());
                Tensor logSumExp = Tensor.allocate(DType.F32, 2, HEADS, queries);
                int[] all = {queries, queries};
                cache.attend(
                        AttentionOptions.causal(), q, all, new int[] {990, 310}, padding, tables, output, logSumExp);
                results.add(FloatBuffer.wrap(output.toFloatArray()));
                results.add(FloatBuffer.wrap(logSumExp.toFloatArray()));
            }
        }
        return results;
    }

    private static FloatArray turns() {
        FloatArray table = new FloatArray(1000 * 4);
        for (int i = 0; i < table.getSize(); i++) {
            table.set(i, (float) Math.sin(i));
        }
        return table;
    }
}
