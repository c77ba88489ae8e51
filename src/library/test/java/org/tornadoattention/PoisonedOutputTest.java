package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;

/** Each kernel writes every element of its output and log-sum-exp: both are NaN on the device before it runs. */
class PoisonedOutputTest {

    static Stream<Arguments> problems() {
        return CoveringArray.ofEachValue(PoisonedOutputTest::values)
                .withTuple(1, 2)
                .ofTheDay(allProblems());
    }

    private static List<?> values(Arguments row) {
        AttentionCase problem = (AttentionCase) row.get()[0];
        return List.of(problem.shape(), problem.dtype(), row.get()[1]);
    }

    private static Stream<Arguments> allProblems() {
        AttentionOptions causal = AttentionOptions.causal();
        return Stream.of(
                        new AttentionShape(1, 1, 1, 1, 1, 1),
                        new AttentionShape(2, 3, 1, 83, 45, 33),
                        new AttentionShape(1, 2, 2, 65, 130, 80))
                .flatMap(shape -> Stream.of(DType.F32, DType.BF16).map(dtype -> AttentionCase.of(shape, dtype, causal)))
                .flatMap(
                        problem -> problem.kernelsOfTaskGraphs().stream().map(kernel -> Arguments.of(problem, kernel)));
    }

    @ParameterizedTest(name = "{0}, {1}")
    @MethodSource("problems")
    void everyElementIsWritten(AttentionCase problem, AttentionKernel kernel) throws TornadoExecutionPlanException {
        Tensor q = problem.q();
        Tensor k = problem.k();
        Tensor v = problem.v();
        Tensor output = Tensor.allocate(problem.dtype(), problem.shape().queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, problem.shape().logSumExpShape());
        output.fill(Float.NaN);
        logSumExp.fill(Float.NaN);

        TaskGraph graph = new TaskGraph("poisoned");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(
                DataTransferMode.EVERY_EXECUTION, q.array(), k.array(), v.array(), output.array(), logSumExp.array());
        try (FlashAttention attention = FlashAttention.on(TestDevice.get(), kernel)) {
            attention.appendTo(graph, grids, "attention", q, k, v, output, logSumExp, problem.options());
            graph.transferToHost(DataTransferMode.EVERY_EXECUTION, output.array(), logSumExp.array());
            try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
                plan.withDevice(attention.device().handle())
                        .withGridScheduler(grids)
                        .execute();
            }
        }
        assertThat(AccuracyCheck.of(q, k, v, problem.options())
                        .ofProducts(kernel.isFp8())
                        .forward(output, logSumExp))
                .allMatch(Comparison::passed);
    }
}
