package org.tornadoattention.cache;

import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** The grid of caches on the JVM's own engine. */
class CacheGridOnJvmTest extends CacheGridTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
