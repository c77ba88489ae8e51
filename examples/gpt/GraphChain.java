package gpt;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.ReplayedPlan;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.ImmutableTaskGraph;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.TornadoExecutionResult;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * Graphs of one plan that are executed one behind the other, for what one graph of TornadoVM 5.2 cannot hold: it has
 * room for 1,024 nodes, of which each task, each of its arrays and each write of an array is one.
 *
 * <p>An array stays where it is on the device and is handed from graph to graph, because a graph of TornadoVM finds on
 * the device only what the graph before it left there. So an array that is wanted again much later goes through all
 * graphs in between, as a node without a task.
 *
 * <p>An array must be announced, by {@link #keep} or its like, while the graph is at the end of the chain whose task
 * has it first: TornadoVM brings nothing else.
 */
final class GraphChain implements AutoCloseable {

    private final ComputeDevice device;
    private final List<TaskGraph> graphs = new ArrayList<>();
    private final GridScheduler grids = new GridScheduler();
    /** What the next graph takes over. */
    private final Set<TornadoNativeArray> handedOn = new LinkedHashSet<>();
    /** The graph of each array that announced it. */
    private final Map<TornadoNativeArray, Integer> owners = new IdentityHashMap<>();

    private Optional<TornadoExecutionPlan> plan = Optional.empty();
    private Optional<TornadoExecutionResult> last = Optional.empty();
    private boolean replaying;
    /** What executions of so many graphs came to. */
    private final Set<Integer> executed = new HashSet<>();

    private final Map<Integer, ReplayedPlan> replayed = new HashMap<>();

    /** A chain of one graph, which is empty. */
    GraphChain(String name, ComputeDevice device) {
        this.device = device;
        graphs.add(new TaskGraph(name));
    }

    // -- what it is made of --

    /** The graph at the end, to which tasks are appended. */
    TaskGraph graph() {
        return graphs.getLast();
    }

    /** The grids of all graphs. */
    GridScheduler grids() {
        return grids;
    }

    /** The grid of a task of the graph at the end. */
    void grid(String task, int workItems, int groupSize) {
        WorkerGrid1D grid = new WorkerGrid1D(workItems);
        grid.setLocalWork(groupSize, 1, 1);
        grids.addWorkerGrid(graph().getTaskGraphName() + "." + task, grid);
    }

    /** Ends the graph at the end and puts another one behind it. */
    void next(String name) {
        String before = graph().getTaskGraphName();
        graphs.add(new TaskGraph(name).consumeFromDevice(before, handedOn.toArray()));
    }

    /** Announces an array that lives on the device, for this graph and those that follow. */
    <T extends TornadoNativeArray> T keep(T array) {
        if (own(array, DataTransferMode.FIRST_EXECUTION)) {
            handedOn.add(array);
        }
        return array;
    }

    /** Announces arrays that live on the device, for this graph alone. */
    void keepHere(TornadoNativeArray... arrays) {
        for (TornadoNativeArray array : arrays) {
            own(array, DataTransferMode.FIRST_EXECUTION);
        }
    }

    /** Announces an array that is brought to the device anew each time, for this graph and those that follow. */
    void bringEachTime(TornadoNativeArray array) {
        if (own(array, DataTransferMode.EVERY_EXECUTION)) {
            handedOn.add(array);
        }
    }

    /** Only the graph that announced an array frees it in the end: freed twice, it would be an error to TornadoVM. */
    private boolean own(TornadoNativeArray array, int mode) {
        boolean unknown = owners.putIfAbsent(array, graphs.size() - 1) == null;
        if (unknown) {
            graph().transferToDevice(mode, array).persistOnDevice(array);
        }
        return unknown;
    }

    /** Hands arrays on no more that another graph announced: no graph that follows wants them. */
    void forget(Collection<? extends TornadoNativeArray> arrays) {
        for (TornadoNativeArray array : arrays) {
            if (owners.get(array) < graphs.size() - 1) {
                handedOn.remove(array);
            }
        }
    }

    /** How many graphs there are. */
    int size() {
        return graphs.size();
    }

    // -- its use --

    /** Ends the chain: nothing can be appended any more. */
    void build() {
        TornadoExecutionPlan built = new TornadoExecutionPlan(
                graphs.stream().map(TaskGraph::snapshot).toArray(ImmutableTaskGraph[]::new));
        built.withDevice(device.handle()).withGridScheduler(grids);
        plan = Optional.of(built);
    }

    /** From the third execution on, gives the driver what the second one gave it. */
    void replay() {
        replaying = true;
    }

    /**
     * Executes the first graphs, or all.
     *
     * @throws IllegalStateException if they are to be replayed, and the device does not record
     */
    void execute(int count) {
        ReplayedPlan recorded = replayed.get(count);
        if (recorded != null) {
            recorded.execute();
        } else if (replaying && executed.contains(count)) {
            recorded = ReplayedPlan.ofExecuted(plan(), device, count);
            if (!recorded.isRecorded()) {
                throw new IllegalStateException("Steps cannot be replayed: " + recorded.reason());
            }
            replayed.put(count, recorded);
            last = Optional.of(recorded.result());
        } else {
            for (int graph = 0; graph < count; graph++) {
                last = Optional.of(plan().withGraph(graph).execute());
            }
            executed.add(count);
        }
    }

    /** Brings arrays that were announced to the host, as the last execution left them. */
    void fetch(TornadoNativeArray... arrays) {
        for (TornadoNativeArray array : arrays) {
            plan().withGraph(owners.get(array));
            last.orElseThrow().transferToHost(array);
        }
    }

    /** Bytes on the device after an execution; 0 for several graphs, as TornadoVM counts what they share in each. */
    long deviceBytes() {
        return graphs.size() > 1 ? 0 : plan().getCurrentDeviceMemoryUsage();
    }

    private TornadoExecutionPlan plan() {
        return plan.orElseThrow();
    }

    /** Frees the device's memory. */
    @Override
    public void close() {
        try {
            plan().withAllGraphs();
            plan().close();
        } catch (TornadoExecutionPlanException e) {
            throw new IllegalStateException("TornadoVM could not free the device's memory.", e);
        }
    }
}
