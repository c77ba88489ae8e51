package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tornadoattention.AttentionException;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** What a launch leaves out is noticed. The kernels here leave out what they are told to. */
class LaunchGuardTest {

    private static final ComputeDevice DEVICE = TestDevice.get();

    public static void fill(KernelContext context, FloatArray output, IntArray counts) {
        if (context.globalIdx < counts.get(0)) {
            output.set(context.globalIdx, 0f);
        }
    }

    private static LaunchGuard guard(Tensor output, int written) {
        IntArray counts = new IntArray(1);
        counts.set(0, written);
        TaskGraph graph = new TaskGraph("guarded");
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, output.array(), counts)
                .task("fill", LaunchGuardTest::fill, new KernelContext(), output.floatArray(), counts)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, output.array());
        return LaunchGuard.of(graph, new GridScheduler("guarded.fill", new WorkerGrid1D(16)), "The kernel fill", DEVICE)
                .timed()
                .poisoning(Map.of("zeros", output));
    }

    @Test
    void whatIsWrittenPassesTimeAfterTime() {
        Tensor output = Tensor.allocate(DType.F32, 9);
        try (LaunchGuard guard = guard(output, 9)) {
            guard.execute();
            guard.execute();
        }
        assertThat(output.toFloatArray()).containsOnly(0f);
    }

    @Test
    void anElementThatIsNotWrittenIsNamed() {
        try (LaunchGuard guard = guard(Tensor.allocate(DType.F32, 9), 7)) {
            assertThatExceptionOfType(AttentionException.class)
                    .isThrownBy(guard::execute)
                    .withMessageContainingAll(
                            "The kernel fill failed on " + DEVICE, "element 7 of the zeros was never written");
        }
    }

    @ParameterizedTest
    @EnumSource
    void aGraphThatLaunchesNothingIsNoticedInEachType(DType dtype) {
        Tensor output = Tensor.allocate(dtype, 5);
        FloatArray other = new FloatArray(1);
        IntArray counts = new IntArray(1);
        TaskGraph graph = new TaskGraph("guarded");
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, output.array(), other, counts)
                .task("fill", LaunchGuardTest::fill, new KernelContext(), other, counts)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, other);
        try (LaunchGuard guard = LaunchGuard.of(
                        graph, new GridScheduler("guarded.fill", new WorkerGrid1D(16)), "The kernel fill", DEVICE)
                .poisoning(Map.of("output", output))) {
            assertThatExceptionOfType(AttentionException.class)
                    .isThrownBy(guard::execute)
                    .withMessageContaining("element 0 of the output was never written");
        }
    }

    @Test
    void aReceiptIsOfTheLastLaunch() {
        try (LaunchGuard guard = guard(Tensor.allocate(DType.F32, 1), 1)) {
            int first = guard.nextNumber();
            assertThatCode(() -> guard.requireReceipt(first)).doesNotThrowAnyException();
            assertThat(guard.nextNumber()).isEqualTo(first + 1);
            assertThatExceptionOfType(AttentionException.class)
                    .isThrownBy(() -> guard.requireReceipt(first))
                    .withMessageContainingAll("The kernel fill failed", "launch 2 was not carried out", "receipt is 1");
        }
    }

    /** As TornadoVM 5.2's interpreter ends on the second device of a platform in a JVM with assertions. */
    @Test
    void anAssertionOfTornadoVmIsToldWithItsPlaceAndWhatToDo() {
        AssertionError error = new AssertionError();
        error.setStackTrace(new StackTraceElement[] {
            new StackTraceElement("uk.ac.manchester.tornado.X", "rewindBufferToBegin", "X.java", 219)
        });
        assertThat(LaunchGuard.firstLine(error))
                .startsWith("AssertionError at uk.ac.manchester.tornado.X.rewindBufferToBegin(X.java:219). ")
                .contains("-ea", "@tornado-config/tornadovm.args");
        assertThat(LaunchGuard.firstLine(new AssertionError("said"))).isEqualTo("AssertionError: said");
    }
}
