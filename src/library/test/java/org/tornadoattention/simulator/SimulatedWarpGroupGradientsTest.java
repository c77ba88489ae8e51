package org.tornadoattention.simulator;

import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.Isolated;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.WarpGroupGradientsTest;

/** All gradients in one kernel, with {@link RoomForWarpGroups}. */
@ExtendWith(RoomForWarpGroups.class)
@Isolated
class SimulatedWarpGroupGradientsTest extends WarpGroupGradientsTest {

    @Override
    protected ComputeDevice device() {
        return RoomForWarpGroups.device();
    }

    @Override
    protected boolean isHere() {
        return true;
    }
}
