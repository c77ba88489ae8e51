package org.tornadoattention.bench;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** The way to what the simulator alone can do, by name: it is not there when this is compiled against an SDK. */
public final class SimulatorBridge {

    private static final String SIMULATOR = "org.tornadoattention.simulator.Simulator";

    private SimulatorBridge() {}

    /**
     * Hands over a table of what each kernel that {@code work} launches would cost a GPU.
     *
     * @throws IllegalArgumentException if the simulator knows no such GPU
     */
    public static void tellCosts(String gpu, Consumer<String> table, Runnable work) {
        call("tellCosts", new Class<?>[] {String.class, Consumer.class, Runnable.class}, gpu, table, work);
    }

    /**
     * Draws what each kernel that {@code work} launches does, and returns the pages.
     *
     * @throws IllegalArgumentException if a launch is too large to draw
     */
    @SuppressWarnings("unchecked")
    public static List<Path> trace(Path folder, Runnable work) {
        return (List<Path>) call("trace", new Class<?>[] {Path.class, Runnable.class}, folder, work);
    }

    /** Counts what the kernels do that {@code work} launches, under names in words. */
    @SuppressWarnings("unchecked")
    public static Map<String, Long> count(Runnable work) {
        return (Map<String, Long>) call("count", new Class<?>[] {Runnable.class}, work);
    }

    private static Object call(String method, Class<?>[] types, Object... arguments) {
        try {
            return Class.forName(SIMULATOR).getMethod(method, types).invoke(null, arguments);
        } catch (InvocationTargetException e) {
            switch (e.getCause()) {
                case null -> throw new IllegalStateException(e);
                case RuntimeException failure -> throw failure;
                case Error failure -> throw failure;
                default -> throw new IllegalStateException(e.getCause());
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException("There is no simulator on the class path, or one of another version", e);
        }
    }
}
