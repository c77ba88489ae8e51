package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** A cache on the JVM's own engine. */
@Tag("second-tier")
class KvCacheOnJvmTest extends KvCacheTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
