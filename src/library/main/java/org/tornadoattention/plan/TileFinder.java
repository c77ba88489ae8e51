package org.tornadoattention.plan;

import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.function.FunctionForm;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.FindTiles;
import org.tornadoattention.kernel.parts.BlockTiles;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Finds the tiles of block masks on a device, of one as of all others with the same code and sizes. */
final class TileFinder implements DevicePlan {

    private static final Kernel FIND = Kernel.of(FindTiles.class);
    private static final int GROUP_SIZE = 128;

    /** What no kernel gives: a state that stays is one that was not found. */
    private static final int NOT_FOUND = -1;

    /** What is compiled once. */
    record Key(FunctionForm form, List<Integer> sizes, int tiles, int seqQ, int seqK) {

        static Key of(BlockMask mask, UserFunctions functions) {
            return new Key(functions.form(), functions.sizes(), mask.tiles().getSize(), mask.seqQ(), mask.seqK());
        }
    }

    private final IntArray tiles;
    private final List<TornadoNativeArray> captured;
    private final LaunchGuard plan;

    /** For block masks like one. */
    TileFinder(BlockMask mask, UserFunctions functions, ComputeDevice device) {
        this.tiles = new IntArray(mask.tiles().getSize());
        this.captured = CapturedArrays.like(functions);
        int groupSize = (int) Math.min(GROUP_SIZE, device.maxGroupSize());
        TaskGraph graph = new TaskGraph("tiles");
        GridScheduler grids = new GridScheduler();
        graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, tiles);
        if (!captured.isEmpty()) {
            graph.transferToDevice(DataTransferMode.EVERY_EXECUTION, captured.toArray());
        }
        Arguments arguments = Arguments.none()
                .with("tiles", tiles)
                .with("seqQ", mask.seqQ())
                .with("seqK", mask.seqK())
                .with("groupSize", groupSize)
                .withFunctions(functions.form(), captured);
        new KernelLauncher(graph, grids, arguments)
                .task("find", FIND)
                .groups(tiles.getSize() - BlockTiles.HEADER, groupSize);
        graph.transferToHost(DataTransferMode.EVERY_EXECUTION, tiles);
        this.plan = LaunchGuard.of(graph, grids, "The search for the tiles of a block mask", device);
    }

    /** What a block mask asks, alone. */
    static AttentionOptions options(BlockMask mask) {
        return AttentionOptions.defaults().withMask(Mask.of(mask.function().orElseThrow()));
    }

    void find(BlockMask mask) {
        CapturedArrays.fill(captured, options(mask));
        IntArray found = mask.tiles();
        for (int at = 0; at < tiles.getSize(); at++) {
            tiles.set(at, at < BlockTiles.HEADER ? found.get(at) : NOT_FOUND);
        }
        plan.execute();
        for (int at = BlockTiles.HEADER; at < tiles.getSize(); at++) {
            int state = tiles.get(at);
            plan.requireWritten("tile " + (at - BlockTiles.HEADER), state != NOT_FOUND);
            found.set(at, state);
        }
    }

    @Override
    public void close() {
        plan.close();
    }
}
