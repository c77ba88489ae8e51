package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.List;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * The arguments of a kernel as they are on the device: twins in place of native arrays.
 *
 * @param arguments the arguments, in the order of the parameters
 * @param arrays the different arrays among them
 * @param positions for each of the arrays its first parameter
 */
record Binding(Object[] arguments, List<DeviceArray> arrays, List<Integer> positions) {

    List<String> arrayNames(KernelBody body) {
        List<String> names = new ArrayList<>();
        for (int position : positions) {
            names.add(body.parameterNames().get(position));
        }
        return names;
    }

    /** Returns whether an argument is an array of which elements may hold nothing. */
    boolean holdsGaps(int position) {
        return arguments[position] instanceof TornadoNativeArray array
                && !NativeArrays.deviceArray(array).allValid();
    }

    boolean hasContext() {
        return contextPosition() >= 0;
    }

    int contextPosition() {
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i] instanceof KernelContext) {
                return i;
            }
        }
        return -1;
    }
}
