package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoDeviceMap;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.exceptions.TornadoBackendNotFound;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoTaskRuntimeException;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Task graphs, plans and devices: what they allow, and what they refuse. */
class TaskGraphTest {

    static void nothing() {}

    static void twenty(
            IntArray out,
            int b,
            int c,
            int d,
            int e,
            int f,
            int g,
            int h,
            int i,
            int j,
            int k,
            int l,
            int m,
            int n,
            int o,
            int p,
            int q,
            float r,
            long s,
            boolean t) {
        for (@Parallel int x = 0; x < out.getSize(); x++) {
            out.set(x, b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + (int) r + (int) s + (t ? 1 : 0));
        }
    }

    static void copy(FloatArray in, FloatArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, in.get(i));
        }
    }

    static void withContext(KernelContext context, FloatArray out) {
        out.set(context.globalIdx, 1f);
    }

    static void onHeap(float[] values) {
        values[0] = 1f;
    }

    @Test
    void kernelsOfNoneAndOfTwentyParameters() {
        Plans.run(new TaskGraph("none").task("kernel", TaskGraphTest::nothing));
        IntArray out = new IntArray(3);
        Plans.run(new TaskGraph("twenty")
                .task(
                        "kernel",
                        TaskGraphTest::twenty,
                        out,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1,
                        1f,
                        1L,
                        true)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.toHeapArray()).containsOnly(19);
    }

    @Test
    void namesOfTasksAreUnique() {
        TaskGraph graph = new TaskGraph("graph").task("one", TaskGraphTest::nothing);
        assertThatThrownBy(() -> graph.task("one", TaskGraphTest::nothing))
                .isInstanceOf(TornadoTaskRuntimeException.class)
                .hasMessageContaining("has a task one already");
    }

    @Test
    void aSnapshotIsNeverChangedAndTheGraphSaysSo() throws Exception {
        FloatArray in = new FloatArray(4);
        FloatArray out = new FloatArray(4);
        TaskGraph graph =
                new TaskGraph("graph").transferToDevice(EVERY_EXECUTION, in).task("one", TaskGraphTest::copy, in, out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            for (ThrowingCallable addition : List.<ThrowingCallable>of(
                    () -> graph.task("two", TaskGraphTest::copy, in, out),
                    () -> graph.transferToDevice(EVERY_EXECUTION, in),
                    () -> graph.transferToHost(EVERY_EXECUTION, out),
                    () -> graph.consumeFromDevice("other", in))) {
                assertThatThrownBy(addition)
                        .isInstanceOf(TornadoRuntimeException.class)
                        .hasMessageContaining("graph has a snapshot already");
            }
            plan.execute();
            assertThat(Simulator.lastStatistics()).hasSize(1);
        }
    }

    @Test
    void wrongTransfersAreRefused() {
        TaskGraph graph = new TaskGraph("graph");
        assertThatThrownBy(() -> graph.transferToDevice(EVERY_EXECUTION, (Object) null))
                .isInstanceOf(TornadoRuntimeException.class)
                .hasMessageContaining("null was passed to transferToDevice of task graph graph");
        assertThatThrownBy(() -> graph.transferToHost(EVERY_EXECUTION, 5))
                .isInstanceOf(TornadoRuntimeException.class)
                .hasMessageContaining("The number 5");
        assertThatThrownBy(() -> graph.consumeFromDevice(3f)).isInstanceOf(TornadoRuntimeException.class);
        assertThatThrownBy(() -> graph.transferToDevice(17, new FloatArray(1)))
                .isInstanceOf(TornadoRuntimeException.class)
                .hasMessageContaining("no data transfer mode 17");
        graph.transferToDevice(EVERY_EXECUTION, 5);
        assertThatThrownBy(() -> Plans.run(new TaskGraph("heap").task("kernel", TaskGraphTest::onHeap, new float[1])))
                .isInstanceOf(TornadoTaskRuntimeException.class)
                .hasMessageContaining("native arrays, a KernelContext, boxed primitives and HalfFloat");
    }

    @Test
    void gridsMustNameATask() throws Exception {
        FloatArray out = new FloatArray(4);
        TaskGraph graph = new TaskGraph("graph").task("kernel", TaskGraphTest::withContext, new KernelContext(), out);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            assertThatThrownBy(() -> plan.withGridScheduler(new GridScheduler("kernel", Plans.grid(4, 4))))
                    .isInstanceOf(TornadoRuntimeException.class)
                    .hasMessageContaining("\"graph.kernel\"");
            assertThatThrownBy(() -> plan.withGraph(1)).isInstanceOf(TornadoRuntimeException.class);
            assertThatThrownBy(() -> plan.getPlanResult(0)).isInstanceOf(TornadoRuntimeException.class);
            assertThatThrownBy(() -> plan.withWarmUpIterations(-1)).isInstanceOf(TornadoRuntimeException.class);
            assertThatThrownBy(() -> plan.withBatch("1MB")).isInstanceOf(TornadoRuntimeException.class);
            assertThatThrownBy(() -> plan.withMemoryLimit("much")).hasMessageContaining("'much' is not a size");
            plan.withGridScheduler(new GridScheduler("graph.kernel", Plans.grid(4, 4)))
                    .withDevice(TornadoExecutionPlan.DEFAULT_DEVICE)
                    .withPreCompilation()
                    .withCUDAGraph()
                    .withWarmUpIterations(2)
                    .withCompilerFlags(TornadoVMBackendType.OPENCL, "-w")
                    .execute();
            assertThat(plan.getTraceExecutionPlan()).startsWith("Root").contains("withCUDAGraph");
        }
    }

    @Test
    void thereIsOneDevice() {
        TornadoRuntime runtime = TornadoRuntimeProvider.getTornadoRuntime();
        assertThat(runtime.getNumBackends()).isEqualTo(1);
        assertThat(runtime.getBackendType(0)).isEqualTo(TornadoVMBackendType.JAVA);
        assertThat(runtime.getBackend(0).getNumDevices()).isEqualTo(1);
        assertThatThrownBy(() -> runtime.getBackend(1)).isInstanceOf(TornadoBackendNotFound.class);
        TornadoDevice device = TornadoExecutionPlan.getDevice(0, 0);
        assertThat(device).isSameAs(TornadoExecutionPlan.DEFAULT_DEVICE);
        assertThat(device.getTornadoVMBackend()).isEqualTo(TornadoVMBackendType.JAVA);
        assertThat(device.getDeviceType()).isEqualTo(TornadoDeviceType.CPU);
        assertThat(device.getPhysicalDevice().getDeviceLocalMemorySize())
                .isEqualTo(Long.getLong("tornadoattention.simulator.localMemory", 48 * 1024));
        assertThat(device.getPhysicalDevice().getDeviceMaxWorkGroupSize()).containsExactly(1024);
        TornadoDeviceMap devices = TornadoExecutionPlan.getTornadoDeviceMap();
        assertThat(devices.getDevicesByName("SIMULATOR")).containsExactly(device);
        assertThat(devices.getDevicesByType(TornadoDeviceType.GPU)).isEmpty();
    }
}
