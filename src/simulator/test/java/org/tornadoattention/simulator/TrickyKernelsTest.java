package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task3;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Kernels that are right and look wrong: the simulator says nothing, whatever order things come in. */
class TrickyKernelsTest {

    private static final int SIZE = 128;
    private static final int GROUP = 64;

    static void sameValueInDeviceMemory(KernelContext context, FloatArray in, FloatArray out) {
        out.set(0, 7f);
        if (context.globalIdx > 0) {
            out.set(context.globalIdx, in.get(context.globalIdx));
        }
    }

    static void sameValueInLocalMemory(KernelContext context, FloatArray in, FloatArray out) {
        float[] any = context.allocateFloatLocalArray(4);
        any[0] = 1f;
        any[1] = any[0];
        context.localBarrier();
        out.set(context.globalIdx, any[1]);
    }

    static void atomicHistogram(KernelContext context, FloatArray in, FloatArray out) {
        int[] counts = context.allocateIntLocalArray(4);
        int id = context.localIdx;
        if (id < 4) {
            counts[id] = 0;
        }
        context.localBarrier();
        context.atomicAdd(counts, id % 4, 1);
        context.localBarrier();
        out.set(context.globalIdx, counts[id % 4]);
    }

    static void groupsAddAtomically(KernelContext context, FloatArray in, FloatArray out) {
        context.atomicAdd(in, 0, 1f);
        out.set(context.globalIdx, 1f);
    }

    static void warpSumWithoutBarriers(KernelContext context, FloatArray in, FloatArray out) {
        float sum = context.simdSum(in.get(context.globalIdx));
        float first = context.simdBroadcastFirst(sum);
        out.set(context.globalIdx, first + context.simdShuffleDown(0f, 1));
    }

    static void lanesOfDifferentWarpsGoDifferentWays(KernelContext context, FloatArray in, FloatArray out) {
        float sum = 0f;
        if (context.localIdx / 32 == 0) {
            sum = context.simdSum(in.get(context.globalIdx));
        } else {
            sum = 2f * context.simdSum(1f);
        }
        out.set(context.globalIdx, sum);
    }

    static void barrierInAUniformLoopAndBranch(KernelContext context, FloatArray in, FloatArray out) {
        float[] partial = context.allocateFloatLocalArray(GROUP);
        int id = context.localIdx;
        partial[id] = in.get(context.globalIdx);
        context.localBarrier();
        for (int half = GROUP / 2; half > 0; half /= 2) {
            if (id < half) {
                partial[id] += partial[id + half];
            }
            context.localBarrier();
        }
        if (context.groupIdx % 2 == 0) {
            context.localBarrier();
        }
        out.set(context.globalIdx, partial[0]);
    }

    static void someReturnAfterTheLastBarrier(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(GROUP);
        int id = context.localIdx;
        tile[id] = in.get(context.globalIdx);
        context.localBarrier();
        if (id % 2 == 1) {
            return;
        }
        out.set(context.globalIdx, tile[id + 1]);
        out.set(context.globalIdx + 1, tile[id]);
    }

    static void twoBuffersAndOneBarrierATurn(KernelContext context, FloatArray in, FloatArray out) {
        float[] buffers = context.allocateFloatLocalArray(2 * GROUP);
        int id = context.localIdx;
        float sum = 0f;
        for (int turn = 0; turn < 6; turn++) {
            int base = turn % 2 * GROUP;
            buffers[base + id] = turn + in.get(context.globalIdx);
            context.localBarrier();
            sum += buffers[base + GROUP - 1 - id];
        }
        out.set(context.globalIdx, sum);
    }

    static void eachWarpHasItsOwnPart(KernelContext context, FloatArray in, FloatArray out) {
        float[] parts = context.allocateFloatLocalArray(GROUP);
        int id = context.localIdx;
        for (int turn = 0; turn < 3; turn++) {
            parts[id] = turn + in.get(context.globalIdx);
            parts[id] *= 2f;
        }
        out.set(context.globalIdx, parts[id]);
    }

    static void oneReadsTheOthersOnlyBehindAGlobalBarrier(KernelContext context, FloatArray in, FloatArray out) {
        int base = context.groupIdx * GROUP;
        int id = context.localIdx;
        out.set(base + id, in.get(base + id));
        context.globalBarrier();
        float other = out.get(base + GROUP - 1 - id);
        context.globalBarrier();
        out.set(base + id, other);
    }

    static void inPlaceElementByElement(KernelContext context, FloatArray in, FloatArray out) {
        in.set(context.globalIdx, in.get(context.globalIdx) + 1f);
        in.set(context.globalIdx, in.get(context.globalIdx) * 2f);
        out.set(context.globalIdx, in.get(context.globalIdx));
    }

    static void privateArrayOfWhichAPartIsUsed(KernelContext context, FloatArray in, FloatArray out) {
        float[] stack = new float[8];
        int depth = 0;
        for (int i = 0; i < 4; i++) {
            stack[depth] = in.get(context.globalIdx) + i;
            depth = depth + 1;
        }
        float sum = 0f;
        while (depth > 0) {
            depth = depth - 1;
            sum += stack[depth];
        }
        out.set(context.globalIdx, sum);
    }

    static void nothingIsANumber(KernelContext context, FloatArray in, FloatArray out) {
        float[] values = new float[2];
        values[0] = 0f / (in.get(context.globalIdx) * 0f);
        values[1] = -1f / 0f;
        out.set(context.globalIdx, values[0] == values[0] ? values[1] : 0f);
    }

    private static Stream<Arguments> kernels() {
        return Stream.of(
                kernel("the same value, device memory", TrickyKernelsTest::sameValueInDeviceMemory),
                kernel("the same value, local memory", TrickyKernelsTest::sameValueInLocalMemory),
                kernel("a histogram", TrickyKernelsTest::atomicHistogram),
                kernel("groups that add atomically", TrickyKernelsTest::groupsAddAtomically),
                kernel("warps without barriers", TrickyKernelsTest::warpSumWithoutBarriers),
                kernel("warps that go different ways", TrickyKernelsTest::lanesOfDifferentWarpsGoDifferentWays),
                kernel("barriers in loops and branches", TrickyKernelsTest::barrierInAUniformLoopAndBranch),
                kernel("an early return", TrickyKernelsTest::someReturnAfterTheLastBarrier),
                kernel("two buffers", TrickyKernelsTest::twoBuffersAndOneBarrierATurn),
                kernel("parts of their own", TrickyKernelsTest::eachWarpHasItsOwnPart),
                kernel("global barriers", TrickyKernelsTest::oneReadsTheOthersOnlyBehindAGlobalBarrier),
                kernel("in place", TrickyKernelsTest::inPlaceElementByElement),
                kernel("a stack", TrickyKernelsTest::privateArrayOfWhichAPartIsUsed),
                kernel("NaN and infinity", TrickyKernelsTest::nothingIsANumber));
    }

    private static Arguments kernel(String name, Task3<KernelContext, FloatArray, FloatArray> kernel) {
        return Arguments.of(name, kernel);
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("kernels")
    void isSilent(String name, Task3<KernelContext, FloatArray, FloatArray> kernel) {
        for (long seed = 0; seed < 4; seed++) {
            try (Simulator.Restore _ = Simulator.configure(
                    seed == 0
                            ? Simulator.settings().withoutSeed()
                            : Simulator.settings().withSeed(seed))) {
                FloatArray in = new FloatArray(SIZE);
                for (int i = 0; i < SIZE; i++) {
                    in.set(i, i + 1);
                }
                FloatArray out = new FloatArray(SIZE);
                Plans.run(
                        new TaskGraph("tricky")
                                .transferToDevice(EVERY_EXECUTION, in)
                                .task("kernel", kernel, new KernelContext(), in, out)
                                .transferToHost(EVERY_EXECUTION, in, out),
                        Plans.grid(SIZE, GROUP));
                assertThat(out.getSize()).isEqualTo(SIZE);
                for (int i = 0; i < SIZE; i++) {
                    assertThat(out.get(i)).as(name + ", element " + i).isEqualTo(expected(name, i));
                }
            }
        }
    }

    /** What plain thinking gives for element i, where in[i] is i + 1 and groups are of 64. */
    private static float expected(String name, int i) {
        int group = i / GROUP;
        int first = group * GROUP;
        int mirror = first + GROUP - 1 - i % GROUP;
        return switch (name) {
            case "the same value, device memory" -> i == 0 ? 7f : i + 1f;
            case "the same value, local memory", "groups that add atomically" -> 1f;
            case "a histogram" -> GROUP / 4f;
            case "warps without barriers" -> 32f * (i / 32 * 32) + 32f * 33f / 2f;
            case "warps that go different ways" -> i % GROUP < 32 ? 32f * (i / 32 * 32) + 32f * 33f / 2f : 64f;
            case "barriers in loops and branches" -> GROUP * (float) first + GROUP * (GROUP + 1) / 2f;
            case "an early return" -> (i % 2 == 0 ? i + 1 : i - 1) + 1f;
            case "two buffers" -> 15f + 6f * (mirror + 1);
            case "parts of their own" -> 2f * (2 + i + 1);
            case "global barriers" -> mirror + 1f;
            case "in place" -> 2f * (i + 2);
            case "a stack" -> 4f * (i + 1) + 6f;
            case "NaN and infinity" -> 0f;
            default -> throw new IllegalArgumentException(name);
        };
    }
}
