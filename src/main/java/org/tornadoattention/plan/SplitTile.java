package org.tornadoattention.plan;

import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.SplitKeyAttention;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/**
 * How {@link SplitKeyAttention} divides its work.
 *
 * @param rows pairs of a token and a query head in a tile
 * @param dims dimensions of a work-item
 * @param slots keys that a group looks at side by side
 * @param splits parts of the keys
 */
public record SplitTile(int rows, int dims, int slots, int splits) {

    /** Query rows whose outputs and queries fit a work-item's registers together with its dimensions. */
    private static final int REGISTER_TILE = 32;

    private static final int MOST_ROWS = 16;
    private static final int ROWS_OF_PROMPTS = 8;
    private static final int GPU_GROUP_SIZE = 128;
    private static final int OTHER_GROUP_SIZE = 32;
    private static final long LOCAL_MEMORY_USED_AT_MOST = 32 * 1024;

    /** Groups for each multiprocessor of a GPU: several waves, so that the last one, half empty, matters little. */
    private static final int GROUPS_PER_UNIT = 8;

    /**
     * The tile for {@code seqQ} queries a sequence.
     *
     * @param tilesOfRows tiles of all sequences, given their rows: what is there to do without splitting, for a KV head
     * @param splits parts of the keys, or 0 to choose for the device
     */
    static SplitTile choose(
            int group, int kvHeads, int headDim, int seqQ, int sequences, int keys, int splits, ComputeDevice device) {
        int rowsWanted = Math.min(seqQ * group, Math.max(ROWS_OF_PROMPTS, group));
        int rows = Math.min(rowsWanted, MOST_ROWS);
        int dims = Math.min(rows <= 4 ? 8 : REGISTER_TILE / (rows <= 8 ? 8 : 16), SplitKeyAttention.rowStride(headDim));
        int lanes = SplitKeyAttention.lanes(headDim, dims);
        boolean gpu = device.type() == TornadoDeviceType.GPU;
        long groupSize = Math.min(gpu ? GPU_GROUP_SIZE : OTHER_GROUP_SIZE, device.maxGroupSize());
        int slots = (int) Math.max(1, groupSize / lanes);
        long localMemory = Math.min(LOCAL_MEMORY_USED_AT_MOST, device.localMemoryBytes());
        while (slots > 1 && SplitKeyAttention.localMemoryBytes(headDim, rows, dims, slots) > localMemory) {
            slots--;
        }
        int tileKeys = slots * SplitKeyAttention.KEYS;
        int groupsUnsplit = Math.max(1, sequences * kvHeads * SplitKeyAttention.tiles(seqQ, group, rows));
        int wanted = Math.ceilDiv(device.computeUnits() * (gpu ? GROUPS_PER_UNIT : 1), groupsUnsplit);
        int chosen = splits > 0 ? splits : Math.clamp(wanted, 1, Math.ceilDiv(Math.max(1, keys), tileKeys));
        return new SplitTile(rows, dims, slots, chosen);
    }

    /** Work-items of a group. */
    int groupSize(int headDim) {
        return slots * SplitKeyAttention.lanes(headDim, dims);
    }

    /** Such as {@code 4 rows, 8 dimensions, 8 slots, 16 splits}. */
    @Override
    public String toString() {
        return "%d rows, %d dimensions, %d slots, %d splits".formatted(rows, dims, slots, splits);
    }
}
