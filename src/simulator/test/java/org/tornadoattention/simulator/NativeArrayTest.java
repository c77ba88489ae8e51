package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.FloatBuffer;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.BFloat16Array;
import uk.ac.manchester.tornado.api.types.arrays.ByteArray;
import uk.ac.manchester.tornado.api.types.arrays.FP8Array;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Native arrays on the host. */
class NativeArrayTest {

    @Test
    void elementsAndSizes() {
        FloatArray array = FloatArray.fromElements(1f, 2f, 3f);
        assertThat(array.getSize()).isEqualTo(3);
        assertThat(array.getElementSize()).isEqualTo(4);
        assertThat(array.getNumBytesOfSegment()).isEqualTo(12);
        assertThat(array.getNumBytesOfSegmentWithHeader()).isEqualTo(12 + TornadoNativeArray.ARRAY_HEADER);
        assertThat(array.getSegmentWithHeader().get(ValueLayout.JAVA_INT, 0)).isEqualTo(3);
        assertThat(array.getSegment().getAtIndex(ValueLayout.JAVA_FLOAT, 2)).isEqualTo(3f);
        array.set(1, -2f);
        assertThat(array.toHeapArray()).containsExactly(1f, -2f, 3f);
        assertThat(array.slice(1, 2).toHeapArray()).containsExactly(-2f, 3f);
        assertThat(FloatArray.concat(array, FloatArray.fromElements(9f)).toHeapArray())
                .containsExactly(1f, -2f, 3f, 9f);
        array.clear();
        assertThat(array.toHeapArray()).containsOnly(0f);
        assertThat(FloatArray.fromFloatBuffer(FloatBuffer.wrap(new float[] {5f, 6f}))
                        .get(1))
                .isEqualTo(6f);
    }

    @Test
    void aShallowArrayIsAViewOfTheSegment() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(TornadoNativeArray.ARRAY_HEADER + 8, 8);
            IntArray array = IntArray.fromSegmentShallow(segment);
            array.set(1, 42);
            assertThat(array.getSize()).isEqualTo(2);
            assertThat(segment.get(ValueLayout.JAVA_INT, TornadoNativeArray.ARRAY_HEADER + 4))
                    .isEqualTo(42);
            IntArray copy = IntArray.fromSegment(segment.asSlice(TornadoNativeArray.ARRAY_HEADER));
            array.set(1, 43);
            assertThat(copy.get(1)).isEqualTo(42);
            assertThatThrownBy(() -> IntArray.fromSegment(segment.asSlice(0, 7)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("not a multiple of the element size 4");
            assertThatThrownBy(() -> IntArray.fromSegmentShallow(segment.asSlice(0, 8)))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void indicesAreChecked() {
        FloatArray array = new FloatArray(4);
        assertThatThrownBy(() -> array.get(4)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> array.set(-1, 0f)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> array.slice(2, 3)).isInstanceOf(IllegalArgumentException.class);
        assertThat(new FloatArray(0).toHeapArray()).isEmpty();
    }

    @Test
    void smallFormats() {
        HalfFloatArray halves = HalfFloatArray.fromElements(new HalfFloat(1f), new HalfFloat(2.5f));
        assertThat(halves.toShortArray()).containsExactly((short) 0x3C00, (short) 0x4100);
        assertThat(halves.getHalf2(0).getY().getFloat32()).isEqualTo(2.5f);
        assertThatThrownBy(() -> halves.getHalf2(1)).isInstanceOf(IndexOutOfBoundsException.class);
        BFloat16Array brains = BFloat16Array.fromFloats(1f, -2f);
        assertThat(brains.toShortArray()).containsExactly((short) 0x3F80, (short) 0xC000);
        assertThat(brains.getFloat(1)).isEqualTo(-2f);
        FP8Array tiny = FP8Array.fromFloatsE5M2(1f, 57344f);
        assertThat(tiny.getE5M2(1)).isEqualTo(57344f);
        ByteArray bytes = new ByteArray(4);
        bytes.setHalfFloat(2, new HalfFloat(2.5f));
        assertThat(bytes.toHeapArray()).containsExactly(0, 0, 0, 0x41);
        assertThat(bytes.getHalfFloat(2).getFloat32()).isEqualTo(2.5f);
    }

    @Test
    void halvesBeginAtEvenBytes() {
        ByteArray bytes = new ByteArray(8);
        bytes.setHalfFloat(2, new HalfFloat(1.5f));
        assertThat(bytes.getHalfFloat(2).getFloat32()).isEqualTo(1.5f);
        assertThatThrownBy(() -> bytes.getHalfFloat(3))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("A half begins at an even byte, not at byte 3");
        assertThatThrownBy(() -> bytes.setHalfFloat(1, new HalfFloat(1f))).isInstanceOf(IllegalArgumentException.class);
    }

    static void fillWith(HalfFloatArray out, HalfFloat value) {
        for (@Parallel int i = 0; i < out.getSize(); i++) {
            out.set(i, value);
        }
    }

    @Test
    void aHalfIsAnArgument() {
        HalfFloatArray out = new HalfFloatArray(4);
        Plans.run(new TaskGraph("half")
                .task("a", NativeArrayTest::fillWith, out, new HalfFloat(2.5f))
                .transferToHost(DataTransferMode.EVERY_EXECUTION, out));
        assertThat(out.get(3).getFloat32()).isEqualTo(2.5f);
    }
}
