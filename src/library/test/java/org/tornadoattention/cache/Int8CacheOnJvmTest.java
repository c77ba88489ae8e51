package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** A cache in INT8 on the JVM's own engine. */
@Tag("second-tier")
class Int8CacheOnJvmTest extends Int8CacheTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
