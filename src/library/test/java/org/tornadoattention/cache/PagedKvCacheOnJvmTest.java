package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** A paged cache on the JVM's own engine. */
@Tag("second-tier")
class PagedKvCacheOnJvmTest extends PagedKvCacheTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
