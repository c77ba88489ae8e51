package org.tornadoattention.plan;

import java.util.List;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.kernel.parts.StepLayout;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** The merge of attention over parts of the keys, compiled for one device, with its buffers. */
final class MergePlan implements AutoCloseable {

    private final Key key;
    private final FloatArray partials;
    private final Tensor output;
    private final FloatArray logSumExp;
    private final IntArray sequences = new IntArray(StepLayout.RECEIPTS);
    private final IntArray step = new IntArray(StepLayout.HEADER);
    private final LoudPlan plan;
    private int number;

    /** What it is compiled for: rows of so many elements, of so many parts. */
    record Key(int rows, int headDim, int parts, DType dtype) {}

    MergePlan(Key key, ComputeDevice device) {
        this.key = key;
        partials = new FloatArray(Math.multiplyExact(Math.multiplyExact(key.rows, key.parts), key.headDim + 1));
        output = Tensor.allocate(key.dtype, key.rows, key.headDim);
        logSumExp = new FloatArray(key.rows + 1);
        TornadoNativeArray outputArray = AttentionArrays.seen(output, device.halfFloats());
        TaskGraph graph = new TaskGraph("merge");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, partials, sequences, step);
        InferenceTasks.appendMerge(
                graph,
                grids,
                "parts",
                new StepShape(1, key.rows, 0, 1, 1, key.headDim, 1, 0, 0, false, key.dtype, false),
                key.parts,
                partials,
                outputArray,
                logSumExp,
                sequences,
                step,
                device);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, outputArray, logSumExp);
        plan = new LoudPlan(
                new TornadoExecutionPlan(graph.snapshot())
                        .withDevice(device.handle())
                        .withGridScheduler(grids),
                "A merge",
                device);
    }

    /** Merges parts, each an output and its log-sum-exp, into o and lse. */
    void execute(List<Tensor> outputs, List<Tensor> logSumExps, Tensor o, Tensor lse) {
        int dim = key.headDim;
        for (int part = 0; part < key.parts; part++) {
            float[] from = outputs.get(part).toFloatArray();
            float[] fromLse = logSumExps.get(part).toFloatArray();
            for (int row = 0; row < key.rows; row++) {
                for (int x = 0; x < dim; x++) {
                    partials.set((row * key.parts + part) * dim + x, from[row * dim + x]);
                }
                partials.set(
                        key.rows * key.parts * dim + row * key.parts + part, Math.max(fromLse[row], Score.NO_SCORE));
            }
        }
        number = number % (1 << 20) + 1;
        sequences.init(number);
        step.set(3, number);
        logSumExp.set(key.rows, 0f);
        plan.execute();
        if (logSumExp.get(key.rows) != number) {
            throw plan.failure("the kernel was not launched");
        }
        o.array().getSegment().copyFrom(output.array().getSegment().asSlice(0, o.byteSize()));
        lse.array().getSegment().copyFrom(logSumExp.getSegment().asSlice(0, lse.byteSize()));
    }

    @Override
    public void close() {
        plan.close();
    }
}
