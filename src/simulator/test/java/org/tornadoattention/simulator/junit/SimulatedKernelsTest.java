package org.tornadoattention.simulator.junit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.NoSuchElementException;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.tornadoattention.simulator.Check;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.Simulator;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.SimulatorSettings;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** The extension, from within and as somebody sees it whose tests fail. */
@SimulatedKernels(localMemory = 1000, seed = 3)
class SimulatedKernelsTest {

    static void copy(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, in.get(i));
        }
    }

    static void copyTooMuch(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i <= in.getSize(); i++) {
            out.set(i, in.get(i));
        }
    }

    static void run(Task2<FloatArray, FloatArray> kernel) throws TornadoExecutionPlanException {
        FloatArray in = new FloatArray(16);
        FloatArray out = new FloatArray(32);
        TaskGraph graph = new TaskGraph("graph")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("task", kernel, in, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.execute();
        }
    }

    @BeforeEach
    void kernelsOfThePreparationCountToo(KernelRuns runs) throws TornadoExecutionPlanException {
        run(SimulatedKernelsTest::copy);
        assertThat(runs.only().array("in").elementsRead()).isEqualTo(16);
    }

    @Test
    void statisticsCanBeAskedFor(KernelRuns runs) throws TornadoExecutionPlanException {
        run(SimulatedKernelsTest::copy);
        assertThat(runs.all()).hasSize(2);
        assertThat(runs.of("graph.task").globalBytesWritten()).isEqualTo(64);
        assertThatThrownBy(runs::only)
                .isInstanceOf(NoSuchElementException.class)
                .hasMessageContaining("not one launch but 2; what ran was graph.task, graph.task");
        assertThatThrownBy(() -> runs.of("graph.other")).hasMessageContaining("Task graph.other did not run");
    }

    @Test
    void settingsAreThoseOfTheAnnotation() {
        SimulatorSettings settings = Simulator.settings();
        assertThat(settings.localMemory()).isEqualTo(1000);
        assertThat(settings.seed()).hasValue(3);
        assertThat(settings.checks()).containsExactlyInAnyOrder(Check.values());
    }

    @Test
    @SimulatedKernels(without = Check.BOUNDS, threads = 1)
    void theMethodsAnnotationTakesThePlaceOfTheClasss() {
        SimulatorSettings settings = Simulator.settings();
        assertThat(settings.checks()).doesNotContain(Check.BOUNDS).contains(Check.RACES);
        assertThat(settings.threads()).isEqualTo(1);
        assertThat(settings.seed()).isEmpty();
    }

    /** Tests in a class within. */
    @Nested
    class Within {

        @Test
        void haveTheAnnotationOfTheClassAround(KernelRuns runs) {
            assertThat(runs.all()).hasSize(1);
            assertThat(Simulator.settings().localMemory()).isEqualTo(1000);
        }
    }

    @Test
    void aFaultCanBeExpected(KernelRuns runs) {
        SimulatorFaultException fault =
                runs.expectFault(FaultKind.OUT_OF_BOUNDS, () -> run(SimulatedKernelsTest::copyTooMuch));
        assertThat(fault).hasMessageContaining("misses in: Index 16");
        assertThatThrownBy(() -> runs.expectFault(FaultKind.LOCAL_RACE, () -> run(SimulatedKernelsTest::copy)))
                .isInstanceOf(AssertionError.class)
                .hasMessageContaining(
                        "expected a fault of kind LOCAL_RACE (data race on local memory); none was found");
    }
}
