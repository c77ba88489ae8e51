package org.tornadoattention.bench;

import java.io.PrintWriter;
import org.tornadoattention.AttentionException;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** The device code that TornadoVM makes of a kernel. */
public final class GeneratedCode {

    private GeneratedCode() {}

    /**
     * Compiles and runs one problem and has TornadoVM print the code, on standard output.
     *
     * @param out gets what each task runs first: the kernel's form for this problem, with its parameters
     * @throws IllegalArgumentException in the simulator, which runs the Java method itself
     */
    public static void print(
            FlashAttention attention, AttentionShape shape, DType dtype, AttentionOptions options, PrintWriter out) {
        if (attention.device().isSimulator()) {
            throw new IllegalArgumentException(
                    "There is no device code in the simulator: it runs the kernel's Java method. Set TORNADOVM_HOME to a"
                            + " TornadoVM SDK to see what TornadoVM makes of it.");
        }
        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.keyShape());
        Tensor output = Tensor.allocate(dtype, shape.queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        TaskGraph graph = new TaskGraph("explain");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array());
        KernelLauncher.described(() -> attention.appendTo(graph, grids, "forward", q, k, v, output, logSumExp, options))
                .forEach(task -> out.println(task + System.lineSeparator()));
        out.flush();
        graph.transferToHost(DataTransferMode.UNDER_DEMAND, output.array(), logSumExp.array());
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(attention.device().handle())
                    .withGridScheduler(grids)
                    .withPrintKernel()
                    .execute();
        } catch (TornadoExecutionPlanException e) {
            throw new AttentionException("The plan of the explanation could not be closed.", e);
        }
    }
}
