package org.tornadoattention.simulator.engine;

import org.tornadoattention.intrinsic.Lane;

/** Tells the library's intrinsics which work-item runs. */
public final class LaneProvider implements Lane.Provider {

    /** For the service loader. */
    public LaneProvider() {}

    @Override
    public Lane current() {
        WorkItem item = WorkItem.current();
        return item == null || item == WorkItem.OUTSIDE ? null : item.warpLane();
    }
}
