package org.tornadoattention.decode;

import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Map;
import org.tornadoattention.AttentionException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.plan.DevicePlan;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.plan.LaunchGuard;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The merge of attention over parts of the keys, compiled for one device, with its buffers. */
final class MergePlan implements DevicePlan {

    private final Problem problem;
    private final FloatArray partials;
    private final Tensor output;
    private final Tensor logSumExp;
    private final LaunchGuard plan;

    /** What it is compiled for: rows of so many elements, of so many parts. */
    record Problem(int rows, int headDim, int parts, DType dtype) {}

    MergePlan(Problem problem, ComputeDevice device) {
        this.problem = problem;
        partials = new FloatArray(
                Math.multiplyExact(Math.multiplyExact(problem.rows, problem.parts), problem.headDim + 1));
        output = Tensor.allocate(problem.dtype, problem.rows, problem.headDim);
        logSumExp = Tensor.allocate(DType.F32, problem.rows);
        // The kernel reads these only for steps of a cache.
        IntArray sequences = new IntArray(StepLayout.RECEIPTS);
        IntArray step = new IntArray(StepLayout.HEADER);
        TornadoNativeArray outputArray = DeviceStorage.seen(output, device.halfFloats());
        TaskGraph graph = new TaskGraph("merge");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, sequences, step);
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, partials, logSumExp.array());
        InferenceTasks.appendMerge(
                graph,
                grids,
                "parts",
                new StepShape(
                        1,
                        problem.rows,
                        0,
                        1,
                        1,
                        problem.headDim,
                        1,
                        0,
                        0,
                        false,
                        problem.dtype,
                        CacheType.UNQUANTIZED),
                problem.parts,
                partials,
                outputArray,
                logSumExp.floatArray(),
                sequences,
                step,
                device);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, outputArray, logSumExp.array());
        plan = LaunchGuard.of(graph, grids, "A merge", device).poisoning(Map.of("log-sum-exp", logSumExp));
    }

    /**
     * Merges parts, each an output and its log-sum-exp, into o and lse.
     *
     * @throws AttentionException if the device, its driver or the compiler fails, or an element was not written
     */
    void execute(List<Tensor> outputs, List<Tensor> logSumExps, Tensor o, Tensor lse) {
        for (int part = 0; part < problem.parts; part++) {
            place(outputs.get(part), logSumExps.get(part), part);
        }
        plan.execute();
        MemorySegment.copy(output.memory(), 0, o.memory(), 0, o.byteSize());
        MemorySegment.copy(logSumExp.memory(), 0, lse.memory(), 0, lse.byteSize());
    }

    /** Brings a part to where the kernel reads it: rows of each part behind one another, then their log-sum-exps. */
    private void place(Tensor partOutput, Tensor partLogSumExp, int part) {
        MemorySegment source = partOutput.as(DType.F32).memory();
        MemorySegment target = partials.getSegment();
        long rowBytes = (long) problem.headDim * Float.BYTES;
        for (int row = 0; row < problem.rows; row++) {
            long to = (long) row * problem.parts + part;
            MemorySegment.copy(source, row * rowBytes, target, to * rowBytes, rowBytes);
        }
        int logSumExpsBegin = problem.rows * problem.parts * problem.headDim;
        for (int row = 0; row < problem.rows; row++) {
            partials.set(
                    logSumExpsBegin + row * problem.parts + part, Math.max(partLogSumExp.getFlat(row), Score.NO_SCORE));
        }
    }

    @Override
    public void close() {
        plan.close();
    }
}
