package org.tornadoattention.plan;

import java.lang.foreign.MemorySegment;
import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.function.UserFunctions;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The arrays that functions captured: a plan has some of its own like them, for TornadoVM binds a plan to its arrays.
 */
public final class CapturedArrays {

    private CapturedArrays() {}

    /** Arrays of the types and sizes of those that functions captured. */
    public static List<TornadoNativeArray> like(UserFunctions functions) {
        List<Class<?>> types = functions.form().arrays();
        TornadoNativeArray[] arrays = new TornadoNativeArray[types.size()];
        for (int i = 0; i < arrays.length; i++) {
            arrays[i] = allocate(types.get(i), functions.sizes().get(i));
        }
        return List.of(arrays);
    }

    private static TornadoNativeArray allocate(Class<?> type, int size) {
        try {
            return (TornadoNativeArray) type.getConstructor(int.class).newInstance(size);
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException(
                    "A function captured a %s, of which no other can be made: capture an array of TornadoVM's such as FloatArray."
                            .formatted(type.getName()),
                    e);
        }
    }

    /**
     * Copies what the functions of options captured into a plan's own arrays; arrays of the caller's stay as they are.
     */
    public static void fill(List<TornadoNativeArray> arrays, AttentionOptions options) {
        if (arrays.isEmpty()) {
            return;
        }
        List<TornadoNativeArray> captured = UserFunctions.arrays(options);
        for (int i = 0; i < arrays.size(); i++) {
            if (arrays.get(i) != captured.get(i)) {
                MemorySegment.copy(
                        captured.get(i).getSegment(),
                        0,
                        arrays.get(i).getSegment(),
                        0,
                        arrays.get(i).getSegment().byteSize());
            }
        }
    }
}
