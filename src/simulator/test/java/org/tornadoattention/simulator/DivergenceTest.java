package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.time.Duration;
import java.util.EnumSet;
import org.junit.jupiter.api.Assertions;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Barriers and warp collectives that not all work-items reach. None of these may hang. */
class DivergenceTest {

    static void earlyReturn(KernelContext context, FloatArray out) {
        if (context.localIdx >= 40) {
            return;
        }
        context.localBarrier();
        out.set(context.globalIdx, 1f);
    }

    static void twoBarriers(KernelContext context, FloatArray out) {
        if (context.localIdx % 2 == 0) {
            context.localBarrier();
        } else {
            context.localBarrier();
        }
        out.set(context.globalIdx, 1f);
    }

    static void barrierInOneBranch(KernelContext context, FloatArray out) {
        if (context.localIdx < 3) {
            context.localBarrier();
        }
        out.set(context.globalIdx, 1f);
        context.localBarrier();
    }

    static void sumWithoutSomeLanes(KernelContext context, FloatArray out) {
        float sum = 0f;
        if (context.globalIdx < 50) {
            sum = context.simdSum(1f);
        }
        out.set(context.globalIdx, sum);
    }

    static void differentCollectives(KernelContext context, FloatArray out) {
        if (context.localIdx < 16) {
            out.set(context.globalIdx, context.simdSum(1f));
        } else {
            out.set(context.globalIdx, context.simdBroadcastFirst(1f));
        }
    }

    static void collectiveAgainstBarrier(KernelContext context, FloatArray out) {
        if (context.localIdx < 16) {
            out.set(context.globalIdx, context.simdSum(1f));
        }
        context.localBarrier();
    }

    static void loadsWithoutSomeLanes(KernelContext context, FloatArray out) {
        int[] tile = context.allocateIntLocalArray(128);
        for (int i = context.localIdx; i < 128; i += 64) {
            tile[i] = 0;
        }
        context.localBarrier();
        float[] sum = context.mmaFragment(0f);
        HalfFloat[] a = context.mmaLoadA(tile, 16);
        HalfFloat[] b = context.mmaLoadB(tile, 16);
        if (context.localIdx % 32 < 8) {
            a = context.mmaLoadA(tile, 16);
        }
        sum = context.mma(a, b, sum, MMAShape.M16N8K16);
        context.mmaStore(sum, out, 0, 0, 8);
    }

    static void loopWithoutAnEnd(KernelContext context, FloatArray out) {
        while (out.get(0) != 1f) {
            context.localBarrier();
            out.set(context.globalIdx, 2f);
        }
    }

    private static SimulatorFaultException fault(Task2<KernelContext, FloatArray> kernel) {
        FloatArray out = new FloatArray(128);
        TaskGraph graph = new TaskGraph("graph")
                .task("kernel", kernel, new KernelContext(), out)
                .transferToHost(EVERY_EXECUTION, out);
        SimulatorFaultException fault = Assertions.assertTimeoutPreemptively(
                Duration.ofMinutes(2), () -> Plans.fault(graph, Plans.grid(64, 64)));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    @Test
    void someReturnBeforeTheBarrier() {
        SimulatorFaultException fault = fault(DivergenceTest::earlyReturn);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_BARRIER);
        assertThat(fault)
                .hasMessageContaining("in kernel earlyReturn, group (0,0,0)")
                .hasMessageContaining("work-items 0-39 wait at the barrier at DivergenceTest.java:")
                .hasMessageContaining("work-items 40-63 returned");
    }

    @Test
    void twoBarriersThatLookAlike() {
        SimulatorFaultException fault = fault(DivergenceTest::twoBarriers);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_BARRIER);
        assertThat(fault.getMessage().split("wait at the barrier at DivergenceTest.java:"))
                .hasSize(3);
        assertThat(fault).hasMessageContaining("work-items 0, 2, 4, ").hasMessageContaining("work-items 1, 3, 5, ");
    }

    @Test
    void aBarrierInOneBranch() {
        SimulatorFaultException fault = fault(DivergenceTest::barrierInOneBranch);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_BARRIER);
        assertThat(fault).hasMessageContaining("work-items 0-2 wait").hasMessageContaining("work-items 3-63 wait");
    }

    @Test
    void aCollectiveBehindABoundsCheck() {
        SimulatorFaultException fault = fault(DivergenceTest::sumWithoutSomeLanes);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_COLLECTIVE);
        assertThat(fault)
                .hasMessageContaining("work-items 32-49 wait in simdSum at DivergenceTest.java:")
                .hasMessageContaining("50-63 returned");
    }

    @Test
    void differentCollectivesInOneWarp() {
        SimulatorFaultException fault = fault(DivergenceTest::differentCollectives);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_COLLECTIVE);
        assertThat(fault).hasMessageContaining("simdSum").hasMessageContaining("simdBroadcastFirst");
    }

    @Test
    void someWaitInACollectiveAndSomeAtABarrier() {
        SimulatorFaultException fault = fault(DivergenceTest::collectiveAgainstBarrier);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_COLLECTIVE);
        assertThat(fault).hasMessageContaining("wait in simdSum").hasMessageContaining("wait at the barrier");
    }

    @Test
    void aLoopThatDoesNotEnd() {
        SimulatorSettings settings = Simulator.settings()
                .withBarriers(1000)
                .withLoopSeconds(100)
                .withChecks(EnumSet.complementOf(EnumSet.of(Check.TRANSFERS, Check.RACES)));
        try (Simulator.Restore _ = Simulator.configure(settings)) {
            SimulatorFaultException fault = fault(DivergenceTest::loopWithoutAnEnd);
            assertThat(fault.kind()).isEqualTo(FaultKind.ENDLESS_LOOP);
            assertThat(fault)
                    .hasMessageContaining("in kernel loopWithoutAnEnd, group (")
                    .hasMessageContaining("wait at the barrier at DivergenceTest.java:")
                    .hasMessageContaining("has passed 1,000 barriers");
        }
    }

    @Test
    void tensorCoreLoadsThatSomeLanesSkip() {
        SimulatorFaultException fault = fault(DivergenceTest::loadsWithoutSomeLanes);
        assertThat(fault.kind()).isEqualTo(FaultKind.DIVERGENT_COLLECTIVE);
        assertThat(fault).hasMessageContaining("loads, stores and products");
    }

    @Test
    void withoutTheCheckABarrierWaitsForThoseThatAreLeft() {
        FloatArray out = new FloatArray(64);
        TaskGraph graph = new TaskGraph("graph")
                .task("kernel", DivergenceTest::earlyReturn, new KernelContext(), out)
                .transferToHost(EVERY_EXECUTION, out);
        try (Simulator.Restore _ = Simulator.configure(
                Simulator.settings().withChecks(EnumSet.complementOf(EnumSet.of(Check.BARRIERS))))) {
            Plans.run(graph, Plans.grid(64, 64));
        }
        assertThat(out.get(39)).isEqualTo(1f);
        assertThat(out.get(40)).isNaN();
    }
}
