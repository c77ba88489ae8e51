package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.simulator.instrument.KernelText;
import org.tornadoattention.simulator.instrument.ParameterUse;
import uk.ac.manchester.tornado.api.common.TornadoFunctions;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;

/** A kernel as the task graph got it: an object with a method {@code apply}. It runs without checks. */
final class TaskFunction implements KernelBody {

    private final MethodHandle apply;
    private final int captured;
    private final int parameters;
    private final String name;

    /**
     * Creates the function; {@code captured} arguments in front of its {@code parameters} are in {@code code} already.
     */
    TaskFunction(Object code, int captured, int parameters, String name) {
        this.captured = captured;
        this.parameters = parameters;
        this.name = name;
        try {
            this.apply = MethodHandles.publicLookup()
                    .findVirtual(taskInterface(parameters), "apply", applyType(parameters))
                    .bindTo(code)
                    .asSpreader(Object[].class, parameters);
        } catch (ReflectiveOperationException e) {
            throw new TornadoRuntimeException(e);
        }
    }

    private static Class<?> taskInterface(int parameters) throws ClassNotFoundException {
        return parameters == 0
                ? TornadoFunctions.Task.class
                : Class.forName(TornadoFunctions.class.getName() + "$Task" + parameters);
    }

    private static MethodType applyType(int parameters) {
        return MethodType.genericMethodType(parameters).changeReturnType(void.class);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean isInstrumented() {
        return false;
    }

    @Override
    public List<String> parameterNames() {
        return IntStream.range(0, captured + parameters)
                .mapToObj(i -> "parameter " + i)
                .toList();
    }

    @Override
    public ParameterUse use() {
        return ParameterUse.UNKNOWN;
    }

    @Override
    public List<String> parallelLoops() {
        return List.of();
    }

    @Override
    public List<String> costPlaces() {
        return List.of();
    }

    @Override
    public KernelText text() {
        return KernelText.NONE;
    }

    @Override
    public void run(Object... arguments) throws Throwable {
        apply.invoke(Arrays.copyOfRange(arguments, captured, arguments.length));
    }
}
