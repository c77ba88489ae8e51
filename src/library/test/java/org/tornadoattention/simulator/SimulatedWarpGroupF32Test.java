package org.tornadoattention.simulator;

import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Isolated;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpGroupF32Test;

/** F32 in three products of F16, with {@link RoomForWarpGroups}. */
@ExtendWith(RoomForWarpGroups.class)
@Isolated
class SimulatedWarpGroupF32Test extends WarpGroupF32Test {

    @Override
    protected ComputeDevice device() {
        return RoomForWarpGroups.device();
    }

    @Override
    protected boolean isHere() {
        return true;
    }
}
