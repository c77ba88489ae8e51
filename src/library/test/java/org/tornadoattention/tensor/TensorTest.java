package org.tornadoattention.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;

class TensorTest {
    private static float[] numbers(int count, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = (float) random.nextGaussian();
        }
        return values;
    }

    @ParameterizedTest
    @EnumSource
    void bulkCopiesRoundEveryElementAsTheTypeDoes(DType dtype) {
        // Past the size from which copies are shared out over cores, and no multiple of a chunk.
        float[] values = numbers(300_007, 1);
        Tensor tensor = Tensor.of(dtype, values, values.length);
        float[] read = tensor.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            if (read[i] != dtype.round(values[i])) {
                assertThat(read[i]).as("element %d", i).isEqualTo(dtype.round(values[i]));
            }
        }
        assertThat(tensor.getFlat(299_999)).isEqualTo(read[299_999]);
        assertThat(tensor.byteSize()).isEqualTo((long) values.length * dtype.byteSize());
    }

    @Test
    void allHalfPatternsSurviveTheBulkCopies() {
        HalfFloatArray array = new HalfFloatArray(1 << 16);
        for (int bits = 0; bits < 1 << 16; bits++) {
            array.set(bits, new HalfFloat((short) bits));
        }
        assertAllPatterns(Tensor.wrap(array, 1 << 16));
    }

    @Test
    void allBFloat16PatternsSurviveTheBulkCopies() {
        ShortArray array = new ShortArray(1 << 16);
        for (int bits = 0; bits < 1 << 16; bits++) {
            array.set(bits, (short) bits);
        }
        assertAllPatterns(Tensor.wrapBFloat16(array, 1 << 16));
    }

    private static void assertAllPatterns(Tensor tensor) {
        DType dtype = tensor.dtype();
        float[] bulk = tensor.toFloatArray();
        float[] again = Tensor.of(dtype, bulk, bulk.length).toFloatArray();
        float[] widened = tensor.as(DType.F32).toFloatArray();
        for (int bits = 0; bits < bulk.length; bits++) {
            float defined = dtype.decode(bits);
            boolean right = Float.compare(bulk[bits], defined) == 0
                    && Float.compare(tensor.getFlat(bits), defined) == 0
                    && Float.compare(again[bits], defined) == 0
                    && Float.compare(widened[bits], defined) == 0;
            assertThat(right).as("bits %04x", bits).isTrue();
        }
    }

    @Test
    void wrappingMakesNoCopy() {
        FloatArray floats = new FloatArray(6);
        Tensor tensor = Tensor.wrap(floats, 2, 3);
        floats.set(4, 7);
        assertThat(tensor.get(1, 1)).isEqualTo(7);
        tensor.set(9, 1, 2);
        assertThat(floats.get(5)).isEqualTo(9);
        assertThat(tensor.array()).isSameAs(floats);
        assertThat(tensor.floatArray()).isSameAs(floats);

        ShortArray bits = new ShortArray(1);
        Tensor.wrapBFloat16(bits, 1).set(1.0f, 0);
        assertThat(bits.get(0)).isEqualTo((short) 0x3F80);
        HalfFloatArray halves = new HalfFloatArray(1);
        Tensor.wrap(halves, 1).set(-2.0f, 0);
        assertThat(halves.get(0).getHalfFloatValue()).isEqualTo((short) 0xC000);
    }

    @Test
    void tensorsCopyWhatTheyAreGiven() {
        float[] values = {1, 2};
        int[] shape = {1, 2};
        Tensor tensor = Tensor.of(values, shape);
        values[0] = 5;
        shape[0] = 9;
        tensor.shape()[1] = 9;
        assertThat(tensor.shape()).containsExactly(1, 2);
        assertThat(tensor.toFloatArray()).containsExactly(1, 2);
        Tensor copy = tensor.copy();
        copy.setFlat(0, 3);
        assertThat(tensor.getFlat(0)).isEqualTo(1);
        assertThat(tensor.as(DType.F32)).isSameAs(tensor);
    }

    @Test
    void indicesAreRowMajor() {
        Tensor tensor = Tensor.of(numbers(2 * 3 * 4 * 5, 2), 2, 3, 4, 5);
        assertThat(tensor.get(1, 2, 3, 4)).isEqualTo(tensor.getFlat(119));
        assertThat(tensor.get(1, 0, 2, 1)).isEqualTo(tensor.getFlat(60 + 10 + 1));
        assertThat(tensor.batch()).isEqualTo(2);
        assertThat(tensor.heads()).isEqualTo(3);
        assertThat(tensor.seqLength()).isEqualTo(4);
        assertThat(tensor.headDim()).isEqualTo(5);
        assertThat(tensor.dimension(2)).isEqualTo(4);
        assertThat(tensor).hasToString("F32[2, 3, 4, 5]");
        assertThat(Tensor.of(new float[] {3}).get()).isEqualTo(3);
    }

    @ParameterizedTest
    @EnumSource
    void conversionsRoundOnce(DType target) {
        Tensor source = Tensor.of(numbers(10_000, 3), 100, 100);
        Tensor converted = source.as(target);
        assertThat(converted.dtype()).isEqualTo(target);
        assertThat(converted.shape()).containsExactly(100, 100);
        assertThat(converted.toFloatArray())
                .isEqualTo(Tensor.of(target, source.toFloatArray(), 100, 100).toFloatArray());
        Tensor overwritten = Tensor.allocate(DType.F16, 100, 100).copyFrom(converted);
        assertThat(overwritten.toFloatArray()).isEqualTo(converted.as(DType.F16).toFloatArray());
    }

    @ParameterizedTest
    @EnumSource
    void randomTensorsAreNormalAndDependOnTheSeedOnly(DType dtype) {
        float[] values = Tensor.random(dtype, 42, 4, 300_000).toFloatArray();
        assertThat(Tensor.random(dtype, 42, 4, 300_000).toFloatArray()).isEqualTo(values);
        assertThat(Tensor.random(dtype, 43, 4, 300_000).toFloatArray()).isNotEqualTo(values);
        float[] shorter = Tensor.random(dtype, 42, 10_000).toFloatArray();
        assertThat(java.util.Arrays.copyOf(values, 10_000)).isEqualTo(shorter);

        double sum = 0;
        double squares = 0;
        double neighbours = 0;
        for (int i = 0; i < values.length; i++) {
            sum += values[i];
            squares += (double) values[i] * values[i];
            neighbours += (double) values[i] * values[(i + 8192) % values.length];
        }
        assertThat(sum / values.length).isCloseTo(0, within(0.005));
        assertThat(squares / values.length).isCloseTo(1, within(0.01));
        assertThat(neighbours / values.length).isCloseTo(0, within(0.005));
    }

    @ParameterizedTest
    @EnumSource
    void emptyTensorsHaveOneSpareElement(DType dtype) {
        Tensor tensor = Tensor.random(dtype, 1, 2, 0, 1 << 30, 1 << 30);
        assertThat(tensor.numberOfElements()).isZero();
        assertThat(tensor.byteSize()).isZero();
        assertThat(tensor.array().getSize()).isEqualTo(1);
        assertThat(tensor.toFloatArray()).isEmpty();
        assertThat(tensor.as(DType.F16).shape()).containsExactly(2, 0, 1 << 30, 1 << 30);
        tensor.fill(1);
        assertThat(tensor.copyFrom(new float[0])).isSameAs(tensor);
        assertThatThrownBy(() -> tensor.getFlat(0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThat(Tensor.wrap(new FloatArray(1), 3, 0).numberOfElements()).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void fillStoresTheRoundedValueEverywhere(DType dtype) {
        Tensor tensor = Tensor.allocate(dtype, 20_001);
        assertThat(tensor.toFloatArray()).containsOnly(0);
        tensor.fill(0.1f);
        assertThat(tensor.toFloatArray()).containsOnly(dtype.round(0.1f));
    }

    @Test
    void wrongSizesNameBothAndSayWhatToDo() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.of(new float[5], 2, 3))
                .withMessageContaining("[2, 3] has 6 elements")
                .withMessageContaining("has 5")
                .withMessageContaining("give an array of the shape's size");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.wrap(new FloatArray(7), 2, 3))
                .withMessageContaining("FloatArray has 7");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.allocate(DType.F32, 2, -1))
                .withMessageContaining("[2, -1]")
                .withMessageContaining("0 or more");
        Tensor tensor = Tensor.allocate(DType.F32, 2, 3);
        assertThatIllegalArgumentException().isThrownBy(() -> tensor.copyFrom(new float[7]));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> tensor.copyFrom(Tensor.allocate(DType.F32, 3, 2)))
                .withMessageContaining("F32[3, 2]")
                .withMessageContaining("F32[2, 3]");
    }

    @ParameterizedTest
    @ValueSource(ints = {1 << 15, 1 << 30, Integer.MAX_VALUE})
    void moreElementsThanAnArrayHoldsIsRefusedBeforeAnyAllocation(int dimension) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.allocate(DType.F16, dimension, dimension, 2, 1))
                .withMessageContaining("2,147,483,631")
                .withMessageContaining("split the batch");
        assertThatIllegalArgumentException()
                .isThrownBy(
                        () -> Tensor.allocate(DType.F32, Integer.MAX_VALUE, Integer.MAX_VALUE, Integer.MAX_VALUE, 4));
    }

    @Test
    void wrongRanksIndicesAndTypesAreNamed() {
        Tensor tensor = Tensor.allocate(DType.F32, 2, 3);
        assertThatIllegalArgumentException()
                .isThrownBy(tensor::headDim)
                .withMessage(
                        "F32[2, 3] has no head dimension: only tensors of rank 4, [batch, heads, seq, headDim], do.");
        assertThatIllegalArgumentException().isThrownBy(() -> tensor.get(1)).withMessageContaining("2 dimensions");
        assertThatThrownBy(() -> tensor.get(1, 3))
                .isInstanceOf(IndexOutOfBoundsException.class)
                .hasMessageContaining("axis 1 goes from 0 to 2");
        assertThatThrownBy(() -> tensor.setFlat(6, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> tensor.dimension(2))
                .withMessageContaining("0 to 1");
        assertThatIllegalStateException()
                .isThrownBy(tensor::halfFloatArray)
                .withMessage("F32[2, 3] is not F16: use as(DType.F16).");
    }

    @Test
    void aViewIsAPartOfAnArray() {
        FloatArray array = FloatArray.fromArray(new float[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
        Tensor view = Tensor.view(array, 1, new int[] {2, 2, 2}, new int[] {1, 6, 2});
        assertThat(view.isView()).isTrue();
        assertThat(view.toFloatArray()).containsExactly(1, 3, 7, 9, 2, 4, 8, 10);
        assertThat(view.get(1, 0, 1)).isEqualTo(4);
        assertThat(view.contiguous().isView()).isFalse();
        view.set(40, 1, 0, 1);
        view.setFlat(0, 10);
        assertThat(array.get(4)).isEqualTo(40);
        view.copyFrom(Tensor.of(new float[] {-1, -2, -3, -4, -5, -6, -7, -8}, 2, 2, 2));
        assertThat(array.toHeapArray()).containsExactly(0, -1, -5, -2, -6, 5, 6, -3, -7, -4, -8, 11);
        assertThat(Tensor.allocate(DType.F32, 2, 2, 2).copyFrom(view).getFlat(7))
                .isEqualTo(-8);
        assertThat(view.as(DType.F16).getFlat(3)).isEqualTo(-4);
        view.fill(0.5f);
        assertThat(array.get(0)).isZero();
        assertThat(array.get(11)).isEqualTo(11);
        assertThat(view.toFloatArray()).containsOnly(0.5f);
        assertThat(Tensor.view(array, 0, new int[] {3, 4}, new int[] {4, 1}).isView())
                .isFalse();
        assertThat(Tensor.view(array, 0, new int[] {1, 3, 4}, new int[] {-7, 4, 1})
                        .isView())
                .isFalse();
        assertThat(Tensor.view(array, 5, new int[] {0, 4}, new int[] {4, 1}).toFloatArray())
                .isEmpty();
    }

    @Test
    void aViewLiesInItsArrayAndDoesNotOverlapItself() {
        FloatArray array = new FloatArray(12);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(array, 1, new int[] {3, 4}, new int[] {4, 1}))
                .withMessageContaining("goes from element 1 to 12, and the FloatArray has 12");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(array, -1, new int[] {2}, new int[] {1}))
                .withMessageContaining("must lie inside");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(array, 11, new int[] {2}, new int[] {-1}))
                .withMessageContaining("strides must be 1 or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(array, 0, new int[] {2, 4}, new int[] {3, 1}))
                .withMessageContaining("overlaps itself");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(array, 0, new int[] {2, 4}, new int[] {0, 1}))
                .withMessageContaining("strides must be 1 or more");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(array, 0, new int[] {2, 4}, new int[] {4}))
                .withMessageContaining("give one for each");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Tensor.view(
                        array, 0, new int[] {65_536, 65_536, 65_536}, new int[] {Integer.MAX_VALUE, Integer.MAX_VALUE, 1
                        }));
        Tensor view = Tensor.view(array, 2, new int[] {4}, new int[] {2});
        assertThatIllegalArgumentException().isThrownBy(view::memory).withMessageContaining("is a view");
        assertThatIllegalStateException().isThrownBy(view::floatArray).withMessageContaining("is a view");
    }

    @Test
    void blocksOfViewsAreCopiedOutAndBack() {
        FloatArray array = new FloatArray(24);
        Tensor view = Tensor.view(array, 2, new int[] {2, 3}, new int[] {2, 5});
        view.copyFrom(new float[] {0, 1, 2, 3, 4, 5});
        Tensor block = view.block(new int[] {0, 1}, new int[] {2, 3});
        assertThat(block.toFloatArray()).containsExactly(1, 2, 4, 5);
        assertThat(block.isView()).isFalse();
        view.copyBlock(new int[] {0, 0}, block);
        assertThat(view.toFloatArray()).containsExactly(1, 2, 2, 4, 5, 5);
        assertThat(array.get(2 + 2 + 5)).isEqualTo(5);
        assertThat(array.get(3)).isZero();
    }

    @ParameterizedTest
    @EnumSource
    void blocksAreCopiedOutAndBack(DType dtype) {
        Tensor whole = Tensor.random(dtype, 3, 3, 4, 5, 6);
        int[][] blocks = {
            {0, 0, 0, 0, 3, 4, 5, 6},
            {1, 0, 0, 0, 2, 4, 5, 6},
            {0, 1, 2, 0, 3, 3, 4, 6},
            {1, 1, 1, 1, 3, 4, 2, 5},
            {2, 3, 4, 5, 3, 4, 5, 6},
            {1, 1, 1, 1, 1, 4, 2, 5}
        };
        for (int[] block : blocks) {
            int[] from = Arrays.copyOf(block, 4);
            int[] to = Arrays.copyOfRange(block, 4, 8);
            Tensor part = whole.block(from, to);
            Tensor target = Tensor.allocate(dtype, 3, 4, 5, 6);
            target.fill(-7);
            target.copyBlock(from, part);
            for (int i = 0; i < whole.numberOfElements(); i++) {
                int[] index = {i / 120, i / 30 % 4, i / 6 % 5, i % 6};
                boolean inside = true;
                int[] within = new int[4];
                for (int axis = 0; axis < 4; axis++) {
                    inside &= index[axis] >= from[axis] && index[axis] < to[axis];
                    within[axis] = index[axis] - from[axis];
                }
                assertThat(target.getFlat(i)).isEqualTo(inside ? whole.getFlat(i) : -7);
                if (inside) {
                    assertThat(part.get(within)).isEqualTo(whole.getFlat(i));
                }
            }
        }
        assertThatIllegalArgumentException()
                .isThrownBy(() -> whole.block(new int[] {0, 0, 0, 0}, new int[] {3, 5, 5, 6}))
                .withMessageContaining("is not in");
        assertThatIllegalArgumentException().isThrownBy(() -> whole.block(new int[] {0}, new int[] {3}));
        assertThatIllegalArgumentException()
                .isThrownBy(() -> whole.copyBlock(new int[] {1, 0, 0, 0}, whole))
                .withMessageContaining("is not in");
    }

    @Test
    void largeTensorsAreCopiedWhole() {
        int elements = 3 * (1 << 20) + 7;
        Tensor source = Tensor.allocate(DType.F16, elements);
        ShortArray bits = ShortArray.fromSegmentShallow(source.halfFloatArray().getSegmentWithHeader());
        for (int i = 0; i < elements; i++) {
            bits.set(i, (short) (i * 31));
        }
        Tensor copy = source.copy();
        assertThat(copy.memory().mismatch(source.memory())).isEqualTo(-1);
    }

    @Test
    void largePartsOfOneArrayMayOverlap() {
        int elements = 1 << 21;
        FloatArray array = new FloatArray(elements + 1000);
        for (int i = 0; i < array.getSize(); i++) {
            array.set(i, i);
        }
        int[] strides = {1};
        Tensor to = Tensor.view(array, 1000, new int[] {elements}, strides);
        to.copyFrom(Tensor.wrap(array, elements + 1000).block(new int[] {0}, new int[] {elements}));
        assertThat(array.get(999)).isEqualTo(999f);
        assertThat(array.get(1000)).isZero();
        assertThat(array.get(elements + 999)).isEqualTo(elements - 1f);
    }
}
