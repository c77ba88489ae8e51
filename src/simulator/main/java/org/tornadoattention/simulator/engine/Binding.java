package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.BitSet;
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

    /** Returns whether the array in a parameter is that in one of some parameters, itself included. */
    boolean isAnyParameter(int position, BitSet parameters) {
        return arguments[position] instanceof TornadoNativeArray array
                && isAnyParameter(NativeArrays.deviceArray(array), parameters);
    }

    /** Returns whether an array is the argument for one of some parameters. */
    boolean isAnyParameter(DeviceArray device, BitSet parameters) {
        return parameters.stream()
                .filter(parameter -> parameter < arguments.length)
                .anyMatch(parameter -> arguments[parameter] instanceof TornadoNativeArray array
                        && NativeArrays.deviceArray(array) == device);
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
