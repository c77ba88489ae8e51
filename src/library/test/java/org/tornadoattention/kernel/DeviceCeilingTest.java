package org.tornadoattention.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Test;
import org.tornadoattention.TestDevice;
import org.tornadoattention.choice.Capability;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

class DeviceCeilingTest {

    private static final int ROW_INTS = 32;

    /** A half of the tile that the kernel fills. */
    private static float half(int row, int column) {
        int chunk = column / 8 ^ row & 7;
        int element = row * 64 + chunk * 8 + column % 8;
        int pair = 0x2c002c00 + element / 2 % 128 * 0x70005;
        return Float.float16ToFloat((short) (pair >>> 16 * (element % 2)));
    }

    /** The sum of all elements of A · Bᵀ is that of the products of the sums of A's and B's columns. */
    private static double sumOfProducts() {
        double sum = 0;
        for (int k = 0; k < 2 * ROW_INTS; k++) {
            double a = 0;
            double b = 0;
            for (int row = 0; row < 64; row++) {
                a += half(row, k);
            }
            for (int row = 64; row < 64 + 256; row++) {
                b += half(row, k);
            }
            sum += a * b;
        }
        return sum;
    }

    @Test
    void warpGroupsMultiplyInEachStep() throws Exception {
        assumeTrue(Capability.WARP_GROUP.isOn(TestDevice.get()), "the device has no warp groups");
        FloatArray result = new FloatArray(128);
        TaskGraph graph = new TaskGraph("ceiling")
                .transferToDevice(DataTransferMode.FIRST_EXECUTION, result)
                .task("run", DeviceCeiling::warpGroups, new KernelContext(), result, 3)
                .transferToHost(DataTransferMode.EVERY_EXECUTION, result);
        WorkerGrid1D grid = new WorkerGrid1D(128);
        grid.setLocalWork(128, 1, 1);
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(TestDevice.get().handle())
                    .withGridScheduler(new GridScheduler("ceiling.run", grid))
                    .execute();
        }
        double sum = 0;
        for (int lane = 0; lane < 128; lane++) {
            sum += result.get(lane);
        }
        assertThat(sum).isCloseTo(3 * sumOfProducts(), within(1e-5 * sum));
    }
}
