package org.tornadoattention.plan;

import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.MovePages;
import org.tornadoattention.kernel.MovePagesBits;
import org.tornadoattention.kernel.MovePagesF16;
import org.tornadoattention.kernel.MovePagesFp8;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.WorkerGrid1D;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task10;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.ShortArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Appends the task that moves pages and changes tables between steps. */
final class UpkeepTasks {

    private static final int GROUP_SIZE = 64;
    private static final int MOST_ITEMS = 1 << 14;

    private UpkeepTasks() {}

    /** Appends the task {@code move}. */
    static void append(
            TaskGraph graph,
            GridScheduler grids,
            CacheShape shape,
            IntArray moves,
            IntArray upload,
            IntArray sequences,
            TornadoNativeArray key,
            TornadoNativeArray value,
            FloatArray scales,
            ComputeDevice device) {
        int pageWords = key.getSize() / shape.pages();
        int pageScales = shape.fp8() ? 2 * shape.kvHeads() : 0;
        int groupSize = (int) Math.min(GROUP_SIZE, device.maxGroupSize());
        int work = Math.clamp(Math.max(sequences.getSize(), pageWords), 1, MOST_ITEMS);
        int items = Math.ceilDiv(work, groupSize) * groupSize;
        switch (key) {
            case FloatArray _ ->
                task(
                        graph,
                        FloatArray.class,
                        MovePages::move,
                        moves,
                        upload,
                        sequences,
                        key,
                        value,
                        scales,
                        pageWords,
                        pageScales,
                        items);
            case HalfFloatArray _ ->
                task(
                        graph,
                        HalfFloatArray.class,
                        MovePagesF16::move,
                        moves,
                        upload,
                        sequences,
                        key,
                        value,
                        scales,
                        pageWords,
                        pageScales,
                        items);
            case IntArray _ ->
                task(
                        graph,
                        IntArray.class,
                        MovePagesBits::move,
                        moves,
                        upload,
                        sequences,
                        key,
                        value,
                        scales,
                        pageWords,
                        pageScales,
                        items);
            case ShortArray _ ->
                task(
                        graph,
                        ShortArray.class,
                        MovePagesFp8::move,
                        moves,
                        upload,
                        sequences,
                        key,
                        value,
                        scales,
                        pageWords,
                        pageScales,
                        items);
            default -> throw new IllegalStateException("No kernel moves pages of " + key.getClass());
        }
        WorkerGrid1D grid = new WorkerGrid1D(items);
        grid.setLocalWork(groupSize, 1, 1);
        grids.addWorkerGrid(graph.getTaskGraphName() + ".move", grid);
    }

    private static <C extends TornadoNativeArray> void task(
            TaskGraph graph,
            Class<C> cache,
            Task10<KernelContext, IntArray, IntArray, IntArray, C, C, FloatArray, Integer, Integer, Integer> kernel,
            IntArray moves,
            IntArray upload,
            IntArray sequences,
            TornadoNativeArray key,
            TornadoNativeArray value,
            FloatArray scales,
            int pageWords,
            int pageScales,
            int items) {
        graph.task(
                "move",
                kernel,
                new KernelContext(),
                moves,
                upload,
                sequences,
                cache.cast(key),
                cache.cast(value),
                scales,
                pageWords,
                pageScales,
                items);
    }
}
