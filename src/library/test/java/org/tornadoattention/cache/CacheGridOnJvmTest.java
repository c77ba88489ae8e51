package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** The grid of caches on the JVM's own engine. */
@Tag("second-tier")
class CacheGridOnJvmTest extends CacheGridTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
