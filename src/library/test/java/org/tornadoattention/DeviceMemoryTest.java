package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.tornadoattention.reference.AccuracyCheck;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Device memory comes back when plans go. The number that TornadoVM tells for a plan does not fall when the plan is
 * closed, so the proof is a JVM with so little device memory that a plan or a call that kept its own would soon have
 * none left.
 */
class DeviceMemoryTest {

    private static final int CALLS = AttentionGrid.FULL ? 10_000 : 400;

    @Test
    void memoryIsFlatOverManyCallsAndPlans() {
        JavaProcess process = JavaProcess.run(
                List.of("-Dtornado.device.memory=" + Calls.DEVICE_MEGABYTES + "MB"),
                Calls.class.getName(),
                Integer.toString(CALLS));
        assertThat(process.output()).contains(Calls.DONE);
        assertThat(process.exitCode()).isZero();
    }

    /** What runs in that JVM. */
    static final class Calls {

        static final String DONE = "All calls fitted.";

        private static final boolean SIMULATOR = TestDevice.get().isSimulator();

        /** Enough for the plans that a cache holds and one more: each has some 8 MB, in the simulator 2. */
        static final int DEVICE_MEGABYTES = SIMULATOR ? 37 : 150;

        private static final int CACHED = 16;
        private static final int KEYS = SIMULATOR ? 4096 : 16_384;
        private static final int FEW_KEYS = 256;
        private static final long HEAP_GROWTH_ALLOWED = 16 << 20;

        private Calls() {}

        public static void main(String[] arguments) {
            int calls = Integer.parseInt(arguments[0]);
            try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
                tooLarge(attention);
                manyPlans(attention);
                manyInstances();
                manyCalls(attention, calls);
            }
            System.out.println(DONE);
        }

        /** More plans than the device has room for: those that the cache drops must free theirs. */
        private static void manyPlans(FlashAttention attention) {
            for (int i = 0; i < CACHED + 4; i++) {
                check(attention, KEYS - i);
            }
        }

        /** Beside a full cache there is room for one plan more: each instance must free its own. */
        private static void manyInstances() {
            for (int i = 0; i < 3; i++) {
                try (FlashAttention attention = FlashAttention.on(TestDevice.get())) {
                    check(attention, KEYS + 1 + i);
                }
            }
        }

        /**
         * What does not fit beside others raises an exception and gives back what did: the keys, but not the values.
         */
        private static void tooLarge(FlashAttention attention) {
            try (FlashAttention holder = FlashAttention.on(TestDevice.get())) {
                check(holder, KEYS * 7);
                for (int i = 0; i < 2; i++) {
                    try {
                        check(attention, KEYS * 12);
                        throw new AssertionError("More fitted than there is");
                    } catch (AttentionException e) {
                        System.out.println("As it should be: " + e.getMessage());
                    }
                }
            }
        }

        private static void manyCalls(FlashAttention attention, int calls) {
            long before = 0;
            for (int call = 0; call < calls; call++) {
                check(attention, FEW_KEYS);
                if (call == calls / 4) {
                    before = usedHeap();
                }
            }
            long growth = usedHeap() - before;
            System.out.printf("The heap grew by %,d bytes over %,d calls.%n", growth, calls - calls / 4);
            if (growth > HEAP_GROWTH_ALLOWED) {
                throw new AssertionError("The heap grew by %,d bytes.".formatted(growth));
            }
        }

        private static long usedHeap() {
            System.gc();
            return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
        }

        private static void check(FlashAttention attention, int keys) {
            AttentionCase problem =
                    AttentionCase.of(new AttentionShape(1, 1, 1, 1, keys, 64), DType.F32, AttentionOptions.defaults());
            Tensor q = problem.q();
            Tensor k = problem.k();
            Tensor v = problem.v();
            AttentionResult result = attention.forward(q, k, v, problem.options());
            for (Comparison comparison :
                    AccuracyCheck.of(q, k, v, problem.options()).forward(result.output(), result.logSumExp())) {
                if (!comparison.passed()) {
                    throw new AssertionError(comparison.toString());
                }
            }
        }
    }
}
