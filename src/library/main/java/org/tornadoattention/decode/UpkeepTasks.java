package org.tornadoattention.decode;

import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.kernel.MovePages;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Appends the task that moves pages and changes tables between steps. */
final class UpkeepTasks {

    private static final Kernel MOVE = Kernel.of(MovePages.class);

    private static final int GROUP_SIZE = 64;
    private static final int MOST_ITEMS = 1 << 14;

    private UpkeepTasks() {}

    /** Appends the task. */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            String name,
            CacheShape shape,
            IntArray moves,
            IntArray upload,
            IntArray sequences,
            TornadoNativeArray key,
            TornadoNativeArray value,
            FloatArray scales,
            ComputeDevice device) {
        int pageWords = key.getSize() / shape.pages();
        int groupSize = (int) Math.min(GROUP_SIZE, device.maxGroupSize());
        int work = Math.clamp(Math.max(sequences.getSize(), pageWords), 1, MOST_ITEMS);
        int groups = Math.ceilDiv(work, groupSize);
        new KernelLauncher(graph, grids, Arguments.none())
                .task(name, MOVE)
                .with("moves", moves)
                .with("upload", upload)
                .with("sequences", sequences)
                .with("key", key)
                .with("value", value)
                .with("scales", scales)
                .with("pageWords", pageWords)
                .with("pageScales", shape.type().isQuantized() ? 2 * shape.kvHeads() : 0)
                .with("items", groups * groupSize)
                .groups(groups, groupSize);
    }
}
