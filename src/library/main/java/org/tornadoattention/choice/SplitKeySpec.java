package org.tornadoattention.choice;

import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.SplitKeyAttention;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;

/** {@link SplitKeyAttention}: any type, on every device. */
record SplitKeySpec() implements DecodeSpec {

    /** Query rows whose outputs and queries fit a work-item's registers together with its dimensions. */
    private static final int REGISTER_TILE = 32;

    private static final int MOST_ROWS = 16;
    private static final int ROWS_OF_PROMPTS = 8;
    private static final int GPU_GROUP_SIZE = 128;
    private static final int OTHER_GROUP_SIZE = 32;
    private static final long LOCAL_MEMORY_USED_AT_MOST = 32 * 1024;

    /** Groups for each multiprocessor of a GPU: several waves, so that the last one, half empty, matters little. */
    private static final int GROUPS_PER_UNIT = 8;

    @Override
    public String summary() {
        return "keys from global memory to registers";
    }

    @Override
    public String needs() {
        return "nothing but work-groups";
    }

    @Override
    public Optional<LaunchedTile> choose(SplitProblem problem, int splits, ComputeDevice device) {
        int headDim = problem.headDim();
        int rows = Math.min(Math.min(problem.rows(), Math.max(ROWS_OF_PROMPTS, problem.group())), MOST_ROWS);
        while (rows > 1
                && SplitKeyAttention.localMemoryBytes(headDim, rows, dims(rows, headDim), 1)
                        > device.localMemoryBytes()) {
            rows = Math.ceilDiv(rows, 2);
        }
        int dims = dims(rows, headDim);
        int lanes = SplitKeyAttention.lanes(headDim, dims);
        boolean gpu = device.type() == TornadoDeviceType.GPU;
        long groupSize = Math.min(gpu ? GPU_GROUP_SIZE : OTHER_GROUP_SIZE, device.maxGroupSize());
        int slots = (int) Math.max(1, groupSize / lanes);
        long localMemory = Math.min(LOCAL_MEMORY_USED_AT_MOST, device.localMemoryBytes());
        while (slots > 1 && SplitKeyAttention.localMemoryBytes(headDim, rows, dims, slots) > localMemory) {
            slots--;
        }
        int tileKeys = slots * SplitKeyAttention.KEYS;
        int wanted = Math.ceilDiv(device.computeUnits() * (gpu ? GROUPS_PER_UNIT : 1), problem.groups(rows));
        int chosen = splits > 0 ? splits : Math.clamp(wanted, 1, Math.ceilDiv(Math.max(1, problem.keys()), tileKeys));
        return Optional.of(new LaneSplitTile(rows, dims, slots, chosen));
    }

    /** Dimensions of a work-item. */
    private static int dims(int rows, int headDim) {
        int inRegisters = rows <= 4 ? 8 : rows <= 8 ? REGISTER_TILE / 8 : REGISTER_TILE / 16;
        return Math.min(inRegisters, SplitKeyAttention.rowStride(headDim));
    }
}
