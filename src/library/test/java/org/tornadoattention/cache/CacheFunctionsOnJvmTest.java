package org.tornadoattention.cache;

import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** Functions over a cache on the JVM's own engine. */
class CacheFunctionsOnJvmTest extends CacheFunctionsTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
