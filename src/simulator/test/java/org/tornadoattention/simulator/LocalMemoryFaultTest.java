package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.Set;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Planted mistakes with local memory, each of which must be found and explained. */
class LocalMemoryFaultTest {

    static void forgottenBarrier(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32);
        tile[context.localIdx] = in.get(context.globalIdx);
        int left = context.localIdx == 0 ? 0 : context.localIdx - 1;
        out.set(context.globalIdx, tile[left]);
    }

    static void forgottenSecondBarrier(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32);
        float sum = 0f;
        for (int step = 0; step < 2; step++) {
            tile[context.localIdx] = in.get(context.globalIdx);
            context.localBarrier();
            sum += tile[31 - context.localIdx];
        }
        out.set(context.globalIdx, sum);
    }

    static void twoWriters(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32);
        tile[context.localIdx / 2] = in.get(context.globalIdx);
        context.localBarrier();
        out.set(context.globalIdx, tile[0]);
    }

    static void manyReadersOneWriter(KernelContext context, FloatArray in, FloatArray out) {
        float[] shared = context.allocateFloatLocalArray(1);
        if (context.localIdx == 0) {
            shared[0] = in.get(0);
        }
        context.localBarrier();
        out.set(context.globalIdx, shared[0]);
        if (context.localIdx == 31) {
            shared[0] = 0f;
        }
    }

    static void halfFilled(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32);
        if (context.localIdx < 16) {
            tile[context.localIdx] = in.get(context.globalIdx);
        }
        context.localBarrier();
        out.set(context.globalIdx, tile[context.localIdx]);
    }

    static void throughAnotherVariable(KernelContext context, FloatArray in, FloatArray out) {
        float[] first = context.allocateFloatLocalArray(32);
        float[] second = context.allocateFloatLocalArray(32);
        first[context.localIdx] = in.get(context.globalIdx);
        second[context.localIdx] = 0f;
        float[] either = context.globalIdx < 1000 ? first : second;
        out.set(context.globalIdx, either[31 - context.localIdx]);
    }

    /** The compiler keeps both variables of the blocks in one place. */
    static void throughVariablesOfBlocks(KernelContext context, FloatArray in, FloatArray out) {
        float[] first = context.allocateFloatLocalArray(32);
        float[] second = context.allocateFloatLocalArray(32);
        {
            float[] tile = first;
            tile[context.localIdx] = in.get(context.globalIdx);
        }
        context.localBarrier();
        {
            float[] tile = second;
            tile[context.localIdx] = first[31 - context.localIdx];
            out.set(context.globalIdx, tile[31 - context.localIdx]);
        }
    }

    /** The second time round, the loop reads what it wrote the first time. */
    static void throughAVariableThatChanges(KernelContext context, FloatArray in, FloatArray out) {
        float[] first = context.allocateFloatLocalArray(32);
        float[] second = context.allocateFloatLocalArray(32);
        float[] from = first;
        float[] to = second;
        from[context.localIdx] = in.get(context.globalIdx);
        context.localBarrier();
        for (int turn = 0; turn < 2; turn++) {
            to[context.localIdx] = from[31 - context.localIdx];
            float[] other = from;
            from = to;
            to = other;
        }
        out.set(context.globalIdx, from[context.localIdx]);
    }

    static void tooMuch(KernelContext context, FloatArray in, FloatArray out) {
        float[] half = context.allocateFloatLocalArray(6 * 1024);
        float[] more = context.allocateFloatLocalArray(6 * 1024 + 1);
        half[context.localIdx] = 0f;
        more[context.localIdx] = 0f;
        out.set(context.globalIdx, in.get(context.globalIdx));
    }

    static void differentSizes(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(32 + context.localIdx);
        tile[context.localIdx] = in.get(context.globalIdx);
        out.set(context.globalIdx, tile[context.localIdx]);
    }

    private static TaskGraph graph(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        FloatArray in = new FloatArray(64);
        for (int i = 0; i < in.getSize(); i++) {
            in.set(i, i + 1);
        }
        FloatArray out = new FloatArray(64);
        return new TaskGraph("graph")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", kernel, new KernelContext(), in, out)
                .transferToHost(EVERY_EXECUTION, out);
    }

    private static SimulatorFaultException fault(Task3<KernelContext, FloatArray, FloatArray> kernel) {
        SimulatorFaultException fault = Plans.fault(graph(kernel), Plans.grid(64, 32));
        assertThat(fault).as("the planted fault").isNotNull();
        return fault;
    }

    @Test
    void aReadOfWhatAnotherWorkItemJustWrote() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::forgottenBarrier);
        assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_RACE);
        assertThat(fault)
                .hasMessageMatching("data race on local memory: in kernel forgottenBarrier"
                        + " \\(LocalMemoryFaultTest\\.java:\\d+\\): work-item 1 of group \\(0,0,0\\) reads tile\\[0],"
                        + " which work-item 0 wrote since the last barrier; put a localBarrier\\(\\) between the write"
                        + " and the read");
    }

    @Test
    void aWriteIntoWhatOthersStillRead() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::forgottenSecondBarrier);
        assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_RACE);
        assertThat(fault)
                .hasMessageContaining("tile[")
                // Of the write and the read, whichever comes second.
                .hasMessageContaining("since the last barrier; put a localBarrier() between the ");
    }

    @Test
    void twoWritesToOneElement() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::twoWriters);
        assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_RACE);
        assertThat(fault)
                .hasMessageContaining("work-item 1 of group (")
                .hasMessageContaining("writes tile[0], which work-item 0 wrote since the last barrier;"
                        + " put a localBarrier() between the two");
    }

    @Test
    void aWriteAfterSeveralReaders() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::manyReadersOneWriter);
        assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_RACE);
        assertThat(fault)
                .hasMessageContaining("work-item 31")
                .hasMessageContaining("several work-items read")
                .hasMessageContaining("put a localBarrier() between the two");
    }

    @Test
    void aReadOfWhatNobodyWrote() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::halfFilled);
        assertThat(fault.kind()).isEqualTo(FaultKind.UNINITIALIZED_LOCAL);
        assertThat(fault)
                .hasMessageContaining("in kernel halfFilled")
                .hasMessageContaining("work-item 16 of group (")
                .hasMessageContaining("reads tile[16], which no work-item of the group has written");
    }

    @Test
    void uninitialisedMemoryIsPoisonedWhenTheCheckIsOff() {
        FloatArray in = new FloatArray(32);
        FloatArray out = new FloatArray(32);
        TaskGraph graph = new TaskGraph("graph")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", LocalMemoryFaultTest::halfFilled, new KernelContext(), in, out)
                .transferToHost(EVERY_EXECUTION, out);
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withChecks(Set.of(Check.RACES)))) {
            Plans.run(graph, Plans.grid(32, 32));
        }
        assertThat(out.get(15)).isZero();
        assertThat(out.get(16)).isNaN();
    }

    @Test
    void aRaceThroughAVariableThatMayHoldEitherArray() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::throughAnotherVariable);
        assertThat(fault.kind()).isIn(FaultKind.LOCAL_RACE, FaultKind.UNINITIALIZED_LOCAL);
        assertThat(fault).hasMessageContaining("reads first[31]");
    }

    @Test
    void ofWhicheverArrayAVariableHoldsAtTheTime() {
        SimulatorFaultException inOneBlock = fault(LocalMemoryFaultTest::throughVariablesOfBlocks);
        assertThat(inOneBlock.kind()).isIn(FaultKind.LOCAL_RACE, FaultKind.UNINITIALIZED_LOCAL);
        assertThat(inOneBlock).hasMessageContaining("reads second[31]");
        SimulatorFaultException inALoop = fault(LocalMemoryFaultTest::throughAVariableThatChanges);
        assertThat(inALoop.kind()).isIn(FaultKind.LOCAL_RACE, FaultKind.UNINITIALIZED_LOCAL);
        assertThat(inALoop).hasMessageContaining("reads second[31]");
    }

    @Test
    void moreLocalMemoryThanThereIs() {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withLocalMemory(48 * 1024))) {
            SimulatorFaultException fault = fault(LocalMemoryFaultTest::tooMuch);
            assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_ALLOCATION);
            assertThat(fault).hasMessageContaining("49156 bytes").hasMessageContaining("49152 for a group");
        }
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withLocalMemory(64 * 1024))) {
            assertThat(Plans.fault(graph(LocalMemoryFaultTest::tooMuch), Plans.grid(64, 32)))
                    .isNull();
        }
    }

    @Test
    void allocationsThatDiffer() {
        SimulatorFaultException fault = fault(LocalMemoryFaultTest::differentSizes);
        assertThat(fault.kind()).isEqualTo(FaultKind.LOCAL_ALLOCATION);
        assertThat(fault).hasMessageContaining("float[33] where others allocated float[32]");
    }

    @Test
    void withoutChecksTheKernelRunsOn() {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutChecks())) {
            assertThat(Plans.fault(graph(LocalMemoryFaultTest::twoWriters), Plans.grid(64, 32)))
                    .isNull();
        }
        assertThat(Simulator.settings().checks()).containsExactlyInAnyOrder(Check.values());
    }
}
