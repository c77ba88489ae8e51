package org.tornadoattention.decode;

import java.lang.foreign.MemorySegment;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.StepReport;
import org.tornadoattention.choice.SplitTile;
import org.tornadoattention.choice.VectorSplitTile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.SplitKeyAttention;
import org.tornadoattention.tensor.Tensor;
import org.tornadoattention.vector.ByteCoding;
import org.tornadoattention.vector.Rotation;
import org.tornadoattention.vector.VectorCache;
import org.tornadoattention.vector.VectorDivision;
import org.tornadoattention.vector.Workers;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** A key-value cache in this JVM's memory, whose steps its vector units compute: nothing is compiled or copied. */
public final class VectorCachePlan implements CacheEngine {

    private final CacheShape shape;
    private final Workers workers;
    private final TornadoNativeArray key;
    private final TornadoNativeArray value;
    private final FloatArray scales;
    private final VectorCache cache;
    private final int[] lengths;
    private int[] padding;
    private int[][] tables;
    private boolean profiled;
    private StepReport total = StepReport.NONE;

    /**
     * Allocates.
     *
     * @param device the JVM
     * @param workers its threads, which are ended with the cache
     * @param splits parts of the keys, or 0 to choose by their number
     */
    public VectorCachePlan(CacheShape shape, ComputeDevice device, Workers workers, Rotation rotation, int splits) {
        this.shape = shape;
        this.workers = workers;
        key = CacheArrays.allocate(shape.dtype(), shape.type(), shape.cacheElements(), device);
        value = CacheArrays.allocate(shape.dtype(), shape.type(), shape.cacheElements(), device);
        scales = CacheArrays.scales(shape);
        cache = new VectorCache(
                workers,
                new VectorCache.Memory(
                        shape.heads(),
                        shape.kvHeads(),
                        shape.headDim(),
                        shape.pageSize(),
                        SplitKeyAttention.rowStride(shape.headDim()),
                        shape.dtype(),
                        key.getSegment(),
                        value.getSegment(),
                        shape.type().isQuantized()
                                ? Optional.of(new VectorCache.Quantized(ByteCoding.of(shape.type()), scales))
                                : Optional.empty()),
                rotation,
                splits);
        lengths = new int[shape.sequences()];
        padding = new int[shape.sequences()];
        tables = new int[shape.sequences()][0];
    }

    @Override
    public boolean prepare(AttentionOptions options, int[] newLengths, int[] newPadding, int[][] newTables) {
        UserFunctions.of(options); // refuses what a device would not take either
        return false;
    }

    @Override
    public void upload(int[] newLengths, int[] newPadding, int[][] newTables) {
        System.arraycopy(newLengths, 0, lengths, 0, lengths.length);
        padding = newPadding.clone();
        tables = Arrays.stream(newTables).map(int[]::clone).toArray(int[][]::new);
    }

    @Override
    public int movesAtOnce() {
        return Integer.MAX_VALUE;
    }

    @Override
    public void move(List<int[]> copies, List<int[]> changes) {
        int pageScales = scales.getSize() / shape.pages();
        for (int[] copy : copies) {
            copyPage(key.getSegment(), copy[0], copy[1]);
            copyPage(value.getSegment(), copy[0], copy[1]);
            for (int i = 0; i < pageScales; i++) {
                scales.set(copy[1] * pageScales + i, scales.get(copy[0] * pageScales + i));
            }
        }
        for (int[] change : changes) {
            int[] table = tables[change[0]];
            if (change[1] >= table.length) {
                table = Arrays.copyOf(table, Math.max(change[1] + 1, 2 * table.length));
                tables[change[0]] = table;
            }
            table[change[1]] = change[2];
        }
    }

    private void copyPage(MemorySegment memory, int from, int to) {
        long bytes = memory.byteSize() / shape.pages();
        MemorySegment.copy(memory, from * bytes, memory, to * bytes, bytes);
    }

    @Override
    public void call(
            int[] newTokens,
            int[] queries,
            @Nullable Tensor q,
            @Nullable Tensor k,
            @Nullable Tensor v,
            AttentionOptions options,
            @Nullable AttentionResult result) {
        long start = System.nanoTime();
        if (k != null && v != null) {
            cache.append(k, v, newTokens, lengths, padding, tables);
            Arrays.setAll(lengths, sequence -> lengths[sequence] + newTokens[sequence]);
        }
        if (q != null && result != null) {
            cache.attend(options, q, queries, lengths, padding, tables, result.output(), result.logSumExp());
        }
        Duration time = profiled ? Duration.ofNanos(System.nanoTime() - start) : Duration.ZERO;
        total = total.plus(new StepReport(1, 0, time, Duration.ZERO, 0, 0));
    }

    @Override
    public SplitTile tile(int tokens) {
        VectorDivision division = cache.division(shape.sequences(), tokens, shape.capacity());
        return new VectorSplitTile(division.rows(), division.parts());
    }

    @Override
    public void profile(boolean on) {
        profiled = on;
    }

    @Override
    public StepReport total() {
        return total;
    }

    @Override
    public long deviceBytes() {
        return cacheBytes() + scales.getNumBytesOfSegment();
    }

    @Override
    public long cacheBytes() {
        return key.getNumBytesOfSegment() + value.getNumBytesOfSegment();
    }

    @Override
    public Tensor read(boolean values, int sequence, int[] now, int[] paddingNow, int[][] tablesNow) {
        TornadoNativeArray array = values ? value : key;
        return CacheArrays.gather(shape, array, scales, values ? 1 : 0, tablesNow[sequence], now[sequence]);
    }

    @Override
    public void close() {
        workers.close();
    }
}
