package org.tornadoattention.decode;

import java.util.Optional;
import org.tornadoattention.choice.Views;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.kernel.WidenPages;
import org.tornadoattention.kernel.parts.Int8Pairs;
import org.tornadoattention.kernel.parts.Layout;
import org.tornadoattention.kernel.parts.Storage;
import org.tornadoattention.plan.DeviceStorage;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** The task that makes of a pool of bytes one of numbers that tensor cores multiply. */
final class WideCopy {

    private static final Kernel WIDEN = Kernel.of(WidenPages.class);
    private static final int GROUP_SIZE = 128;

    private WideCopy() {}

    /**
     * Appends the task {@code name-widen}.
     *
     * @param q queries that the copy is for
     * @return the pool of the copy
     */
    static PoolInputs append(
            TaskGraph graph, GridScheduler grids, String name, Tensor q, PoolInputs pool, ComputeDevice device) {
        PoolInputs.Bytes bytes = pool.bytes().orElseThrow();
        PoolInputs.Wide wide = bytes.wide().orElseThrow();
        IntArray absent = new IntArray(1);
        graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, absent);
        Arguments arguments = Arguments.none()
                .with("key", pool.keys().array())
                .with("value", pool.values().array())
                .with("scales", bytes.scales())
                .with("wideKey", wide.keys().array())
                .with("wideValue", wide.values().array())
                .with("positions", pool.positions())
                .with("validRows", pool.validRows().orElse(absent))
                .with("keyLengths", pool.lengths().orElse(absent))
                .with("blockTable", pool.blockTable().orElse(absent))
                .with("kvHeads", pool.kvHeads())
                .with("headDim", pool.headDim())
                .with("seqQ", q.seqLength())
                .with("pageSize", pool.pageSize())
                .with("pagesPerSequence", pool.pagesPerSequence())
                .with("given", PoolTasks.given(pool))
                .with("features", DeviceStorage.features(wide.keys().dtype(), device))
                .answering(
                        Layout.class,
                        Views.ofAll(q, pool.keys(), pool.values(), q).numbers());
        KernelLauncher.Task task = new KernelLauncher(graph, grids, arguments).task(name + "-widen", WIDEN);
        if (bytes.type() == CacheType.INT8) {
            task.replacing(Storage.class, Int8Pairs.class);
        }
        task.overElements(wide.keys().numberOfElements() / 2, (int) Math.min(GROUP_SIZE, device.maxGroupSize()));
        return new PoolInputs(
                wide.keys(),
                wide.values(),
                Optional.empty(),
                pool.positions(),
                pool.validRows(),
                pool.lengths(),
                Optional.empty(),
                1,
                Optional.empty(),
                pool.fixedSplit(),
                pool.wanted());
    }
}
