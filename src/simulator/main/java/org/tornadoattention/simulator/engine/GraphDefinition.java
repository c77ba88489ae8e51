package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.exceptions.TornadoTaskRuntimeException;

/** What a task graph says: its tasks, and which arrays travel when. */
public final class GraphDefinition {

    private final String name;
    private final List<TaskDefinition> tasks = new ArrayList<>();
    private final List<Transfer> toDevice = new ArrayList<>();
    private final List<Transfer> toHost = new ArrayList<>();
    private final List<Consumption> consumed = new ArrayList<>();
    private boolean frozen;

    /** Creates a definition without tasks. */
    public GraphDefinition(String name) {
        this.name = name;
    }

    private GraphDefinition(GraphDefinition other) {
        this(other.name);
        tasks.addAll(other.tasks);
        toDevice.addAll(other.toDevice);
        toHost.addAll(other.toHost);
        consumed.addAll(other.consumed);
    }

    /** Returns the name of the graph. */
    public String name() {
        return name;
    }

    /** Adds a task; the arguments are looked at when it first runs. */
    public void addTask(String id, Object code, Object... arguments) {
        requireNotFrozen();
        if (tasks.stream().anyMatch(task -> task.id().equals(id))) {
            throw new TornadoTaskRuntimeException(
                    "Task graph " + name + " has a task " + id + " already; give each task a name of its own");
        }
        tasks.add(new TaskDefinition(name + "." + id, id, code, arguments.clone()));
    }

    /** Has objects copied to the device; boxed numbers are constants and are passed over. */
    public void transferToDevice(int mode, Object... objects) {
        requireNotFrozen();
        for (Object object : objects) {
            requireObject(object, "transferToDevice");
            if (!(object instanceof Number)) {
                toDevice.add(new Transfer(requireMode(mode), object));
            }
        }
    }

    /** Has objects taken over from another graph; a null name means the graph that ran last. */
    public void consumeFromDevice(String source, Object... objects) {
        requireNotFrozen();
        for (Object object : objects) {
            requireObject(object, "consumeFromDevice");
            requireArray(object, "consumeFromDevice");
            consumed.add(new Consumption(source, object));
        }
    }

    /** Has objects copied to the host. */
    public void transferToHost(int mode, Object... objects) {
        requireNotFrozen();
        for (Object object : objects) {
            requireObject(object, "transferToHost");
            requireArray(object, "transferToHost");
            toHost.add(new Transfer(requireMode(mode), object));
        }
    }

    /**
     * Returns a copy for execution. This definition takes nothing more: what came later would never run, without a
     * word.
     */
    public GraphDefinition freeze() {
        frozen = true;
        return new GraphDefinition(this);
    }

    /** Returns the objects that travel in either direction. */
    public Set<Object> transferred() {
        Set<Object> objects = Collections.newSetFromMap(new IdentityHashMap<>());
        toDevice.forEach(transfer -> objects.add(transfer.object()));
        consumed.forEach(consumption -> objects.add(consumption.object()));
        toHost.forEach(transfer -> objects.add(transfer.object()));
        return objects;
    }

    /** Returns the objects that come back to the host at each execution. */
    public Collection<Object> outputs() {
        return toHost.stream()
                .filter(transfer -> transfer.mode() != DataTransferMode.UNDER_DEMAND)
                .map(Transfer::object)
                .toList();
    }

    List<TaskDefinition> tasks() {
        return tasks;
    }

    List<Transfer> toDevice() {
        return toDevice;
    }

    List<Transfer> toHost() {
        return toHost;
    }

    List<Consumption> consumed() {
        return consumed;
    }

    private void requireNotFrozen() {
        if (frozen) {
            throw new TornadoRuntimeException(
                    "Task graph " + name
                            + " has a snapshot already, of which nothing that is added now is part; add everything before snapshot()");
        }
    }

    private void requireObject(Object object, String method) {
        if (object == null) {
            throw new TornadoRuntimeException("null was passed to " + method + " of task graph " + name);
        }
    }

    private void requireArray(Object object, String method) {
        if (object instanceof Number) {
            throw new TornadoRuntimeException("The number " + object + " was passed to " + method + " of task graph "
                    + name + "; only arrays can be");
        }
    }

    private int requireMode(int mode) {
        if (mode < DataTransferMode.FIRST_EXECUTION || mode > DataTransferMode.UNDER_DEMAND) {
            throw new TornadoRuntimeException(
                    "There is no data transfer mode " + mode + "; use the constants of DataTransferMode");
        }
        return mode;
    }

    /** A task: its full name, its own name, its kernel and the kernel's arguments. */
    record TaskDefinition(String fullName, String id, Object code, Object[] arguments) {}

    /** An object and when it travels. */
    record Transfer(int mode, Object object) {}

    /** An object that another graph left on the device. */
    record Consumption(String source, Object object) {}
}
