package org.tornadoattention.simulator.engine;

import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.simulator.Check;
import org.tornadoattention.simulator.KernelStatistics;
import org.tornadoattention.simulator.Simulator;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** A graph of a plan: its tasks and what it has on the device. */
final class GraphExecutor {

    private final GraphDefinition definition;
    private final GraphArrays arrays;
    private final Set<Object> copiedIn = Collections.newSetFromMap(new IdentityHashMap<>());
    private List<Task> tasks;

    GraphExecutor(GraphDefinition definition, DeviceMemory memory) {
        this.definition = definition;
        this.arrays = new GraphArrays(memory);
    }

    String name() {
        return definition.name();
    }

    GraphArrays arrays() {
        return arrays;
    }

    boolean hasTask(String fullName) {
        return definition.tasks().stream().anyMatch(task -> task.fullName().equals(fullName));
    }

    List<String> taskNames() {
        return definition.tasks().stream()
                .map(GraphDefinition.TaskDefinition::fullName)
                .toList();
    }

    boolean knows(Object object) {
        return definition.transferred().contains(object)
                || definition.tasks().stream()
                        .flatMap(task -> List.of(task.arguments()).stream())
                        .anyMatch(argument -> argument == object);
    }

    /**
     * Whether a task of the graph has the array, or another graph's copy of it is shared here. TornadoVM brings nothing
     * else to the device, and does not say so.
     */
    boolean leaves(TornadoNativeArray array) {
        return arrays.isBorrowed(array)
                || definition.tasks().stream()
                        .flatMap(task -> Stream.of(task.arguments()))
                        .anyMatch(argument -> argument == array);
    }

    List<Task> tasks() {
        if (tasks == null) {
            tasks = definition.tasks().stream().map(Task::new).toList();
        }
        return tasks;
    }

    void execute(
            GraphSource source,
            GridScheduler grids,
            PlanSettings settings,
            Profile.Recorder recorder,
            List<KernelStatistics> statistics) {
        for (GraphDefinition.Consumption consumption : definition.consumed()) {
            TornadoNativeArray array = array(consumption.object());
            arrays.borrow(array, source.find(consumption.source(), array, this));
        }
        for (GraphDefinition.Transfer transfer : definition.toDevice()) {
            copyIn(transfer, recorder);
        }
        for (Task task : tasks()) {
            task.arrays().forEach(arrays::get);
        }
        for (Task task : tasks()) {
            statistics.add(task.run(arrays, grids, settings, recorder));
        }
        for (GraphDefinition.Transfer transfer : definition.toHost()) {
            if (transfer.mode() != DataTransferMode.UNDER_DEMAND) {
                copyOut(array(transfer.object()), recorder);
            }
        }
        if (Simulator.settings().checks().contains(Check.TRANSFERS)) {
            arrays.all().forEach(DeviceArray::guardHost);
        }
    }

    void freeDeviceMemory() {
        arrays.free();
        copiedIn.clear();
    }

    void moveTo(DeviceMemory memory) {
        arrays.moveTo(memory);
        copiedIn.clear();
    }

    private void copyIn(GraphDefinition.Transfer transfer, Profile.Recorder recorder) {
        if (!(transfer.object() instanceof TornadoNativeArray array)) {
            return;
        }
        DeviceArray device = arrays.get(array);
        boolean due = switch (transfer.mode()) {
            case DataTransferMode.EVERY_EXECUTION -> true;
            case DataTransferMode.FIRST_EXECUTION -> !copiedIn.contains(array);
            default -> false;
        };
        if (due) {
            long start = System.nanoTime();
            recorder.copiedIn(device.copyIn(array), System.nanoTime() - start);
            copiedIn.add(array);
        }
        if (transfer.mode() == DataTransferMode.FIRST_EXECUTION
                && Simulator.settings().checks().contains(Check.TRANSFERS)) {
            if (due) {
                device.watchHost();
            } else {
                device.noteHostChanges();
            }
        }
    }

    private void copyOut(TornadoNativeArray array, Profile.Recorder recorder) {
        long start = System.nanoTime();
        recorder.copiedOut(arrays.get(array).copyOut(array), System.nanoTime() - start);
    }

    private TornadoNativeArray array(Object object) {
        if (object instanceof TornadoNativeArray array) {
            return array;
        }
        throw new TornadoRuntimeException("Task graph " + name() + " transfers an object of type "
                + object.getClass().getName() + "; the simulator transfers native arrays");
    }

    /** Finds arrays that another graph of the plan left on the device. */
    @FunctionalInterface
    interface GraphSource {

        /** Returns the copy that the named graph has, or the graph that ran last if the name is null. */
        DeviceArray find(String graph, TornadoNativeArray array, GraphExecutor consumer);
    }
}
