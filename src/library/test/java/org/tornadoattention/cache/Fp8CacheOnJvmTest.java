package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** A cache in E4M3 on the JVM's own engine. */
@Tag("second-tier")
class Fp8CacheOnJvmTest extends Fp8CacheTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
