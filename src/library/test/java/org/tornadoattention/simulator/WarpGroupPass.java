package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.KernelChoice;
import org.tornadoattention.choice.Tile;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** Forward passes of the kernel {@code warp-group} on a device as a test describes it. */
final class WarpGroupPass {

    private WarpGroupPass() {}

    /**
     * The output, which the given tensor gets, and the log-sum-exp.
     *
     * @param times how often the plan is executed, over arrays that were NaN before
     * @param t q, k and v
     */
    static Tensor[] run(
            ComputeDevice device, Tile tile, AttentionOptions options, Tensor output, int times, Tensor... t)
            throws TornadoExecutionPlanException {
        Tensor logSumExp = Tensor.allocate(DType.F32, t[0].dimension(0), t[0].dimension(1), t[0].dimension(2));
        output.fill(Float.NaN);
        logSumExp.fill(Float.NaN);
        TaskGraph graph = new TaskGraph("pass");
        GridScheduler grids = new GridScheduler();
        try (FlashAttention attention = FlashAttention.on(device, AttentionKernel.WARP_GROUP, tile)) {
            graph.transferToDevice(
                    DataTransferMode.FIRST_EXECUTION,
                    t[0].array(),
                    t[1].array(),
                    t[2].array(),
                    output.array(),
                    logSumExp.array());
            KernelChoice choice =
                    attention.appendTo(graph, grids, "attention", t[0], t[1], t[2], output, logSumExp, options);
            assertThat(choice.tile()).isEqualTo(Optional.of(tile));
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(device.handle()).withGridScheduler(grids);
                for (int execution = 0; execution < times; execution++) {
                    plan.execute();
                }
            }
        }
        return new Tensor[] {output, logSumExp};
    }
}
