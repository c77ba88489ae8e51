package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** A paged cache on the JVM's own engine. */
@Tag("jvm-engine")
class PagedKvCacheOnJvmTest extends PagedKvCacheTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
