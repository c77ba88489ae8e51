package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task1;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Whatever a work-item throws ends the launch, with its cause, though the others of its group wait for it. */
@Timeout(60)
class LaunchEndTest {

    private static final int ITEMS = 64;

    private final FloatArray out = new FloatArray(4 * ITEMS);
    private final Simulator.Restore restore =
            Simulator.configure(Simulator.settings().withoutCheck(Check.COMPILABLE));

    @AfterEach
    void restore() {
        restore.close();
    }

    static void needsAClassThatIsNotThere(KernelContext context, FloatArray out) {
        if (context.localIdx == 40) {
            throw new NoClassDefFoundError("not/There");
        }
        context.localBarrier();
        out.set(context.globalIdx, 1f);
    }

    static void callsItself(KernelContext context, FloatArray out) {
        out.set(context.globalIdx, deeper(context.localIdx));
    }

    private static int deeper(int depth) {
        return depth < 0 ? 0 : 1 + deeper(depth + 1 & 0xffff);
    }

    static void callsItselfInALoop(FloatArray out) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            out.set(i, deeper(i));
        }
    }

    static void throwsSomethingChecked(KernelContext context, FloatArray out) {
        if (context.groupIdx == 1 && context.localIdx == 3) {
            sneak(new java.io.IOException("no such thing"));
        }
        context.localBarrier();
        out.set(context.globalIdx, 1f);
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> void sneak(Throwable thrown) throws T {
        throw (T) thrown;
    }

    static void catchesItsOwnFault(KernelContext context, FloatArray out) {
        float[] shared = context.allocateFloatLocalArray(ITEMS);
        shared[context.localIdx] = 1f;
        try {
            out.set(context.globalIdx, shared[context.localIdx / 2]);
        } catch (RuntimeException _) {
            out.set(context.globalIdx, -1f);
        }
    }

    static void firstGroupFailsAndTheOthersRunLong(KernelContext context, FloatArray out) {
        if (context.groupIdx == 0) {
            out.set(-1, 0f);
        }
        for (int i = 0; i < 1_000_000_000; i++) {
            context.localBarrier();
        }
    }

    private TaskGraph graph(Task2<KernelContext, FloatArray> kernel) {
        return new TaskGraph("end")
                .task("kernel", kernel, new KernelContext(), out)
                .transferToHost(EVERY_EXECUTION, out);
    }

    private SimulatorFaultException fault(Task2<KernelContext, FloatArray> kernel) {
        SimulatorFaultException fault = Plans.fault(graph(kernel), Plans.grid(4 * ITEMS, ITEMS));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    @Test
    void anErrorEndsTheLaunchAndIsItsCause() {
        assertThat(fault(LaunchEndTest::needsAClassThatIsNotThere))
                .hasMessageContaining("exception in a kernel: in kernel needsAClassThatIsNotThere (LaunchEndTest.java:")
                .hasMessageContaining("work-item 40 of group (0,0,0) threw java.lang.NoClassDefFoundError: not/There")
                .hasCauseInstanceOf(NoClassDefFoundError.class);
    }

    @Test
    void aCheckedExceptionEndsTheLaunchAndIsItsCause() {
        assertThat(fault(LaunchEndTest::throwsSomethingChecked))
                .hasMessageContaining("work-item 3 of group (1,0,0) threw java.io.IOException: no such thing")
                .hasCauseInstanceOf(java.io.IOException.class);
    }

    @Test
    void endlessRecursionIsNamed() {
        SimulatorFaultException fault = fault(LaunchEndTest::callsItself);
        assertThat(fault.kind()).isEqualTo(FaultKind.ENDLESS_RECURSION);
        assertThat(fault)
                .hasMessageContaining("recursion without an end: in kernel callsItself (LaunchEndTest.java:")
                .hasMessageContaining("work-item 0 of group (0,0,0)")
                .hasMessageContaining("write it as a loop")
                .hasCauseInstanceOf(StackOverflowError.class);
        Task1<FloatArray> loop = LaunchEndTest::callsItselfInALoop;
        assertThat(Plans.fault(new TaskGraph("end").task("kernel", loop, out).transferToHost(EVERY_EXECUTION, out))
                        .kind())
                .isEqualTo(FaultKind.ENDLESS_RECURSION);
    }

    @Test
    void aFaultThatTheKernelCatchesStillEndsTheLaunch() {
        assertThat(fault(LaunchEndTest::catchesItsOwnFault).kind()).isEqualTo(FaultKind.LOCAL_RACE);
    }

    @Test
    void laterGroupsAreNotWaitedFor() {
        try (Simulator.Restore _ =
                Simulator.configure(Simulator.settings().withThreads(4).withBarriers(2_000_000_000))) {
            assertThat(fault(LaunchEndTest::firstGroupFailsAndTheOthersRunLong))
                    .hasMessageContaining("index out of bounds: in kernel firstGroupFailsAndTheOthersRunLong")
                    .hasMessageContaining("group (0,0,0)");
        }
    }

    @Test
    void theNextLaunchIsSound() {
        assertThatThrownBy(
                        () -> Plans.run(graph(LaunchEndTest::needsAClassThatIsNotThere), Plans.grid(4 * ITEMS, ITEMS)))
                .isInstanceOf(SimulatorFaultException.class);
        Plans.run(graph(LaunchEndTest::sound), Plans.grid(4 * ITEMS, ITEMS));
        assertThat(out.get(4 * ITEMS - 1)).isEqualTo(4 * ITEMS - 1);
    }

    static void sound(KernelContext context, FloatArray out) {
        context.localBarrier();
        out.set(context.globalIdx, context.globalIdx);
    }
}
