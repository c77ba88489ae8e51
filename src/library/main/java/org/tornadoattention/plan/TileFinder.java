package org.tornadoattention.plan;

import java.util.List;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.forge.Arguments;
import org.tornadoattention.forge.Kernel;
import org.tornadoattention.forge.KernelLauncher;
import org.tornadoattention.function.UserFunctions;
import org.tornadoattention.kernel.FindTiles;
import org.tornadoattention.kernel.parts.BlockTiles;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Finds the tiles of block masks on a device. */
final class TileFinder {

    private static final Kernel FIND = Kernel.of(FindTiles.class);
    private static final int GROUP_SIZE = 128;

    /** What no kernel gives: a state that stays is one that was not found. */
    private static final int NOT_FOUND = -1;

    private TileFinder() {}

    static void find(BlockMask mask, ComputeDevice device) {
        AttentionOptions options =
                AttentionOptions.defaults().withMask(Mask.of(mask.function().orElseThrow()));
        UserFunctions functions = UserFunctions.of(options);
        List<TornadoNativeArray> captured = CapturedArrays.like(functions);
        CapturedArrays.fill(captured, options);
        IntArray tiles = mask.tiles();
        for (int tile = BlockTiles.HEADER; tile < tiles.getSize(); tile++) {
            tiles.set(tile, NOT_FOUND);
        }
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
        LaunchGuard plan = LaunchGuard.of(graph, grids, "The search for the tiles of a block mask", device);
        try {
            plan.execute();
        } finally {
            plan.close();
        }
        for (int tile = BlockTiles.HEADER; tile < tiles.getSize(); tile++) {
            plan.requireWritten("tile " + (tile - BlockTiles.HEADER), tiles.get(tile) != NOT_FOUND);
        }
    }
}
