package org.tornadoattention.cache;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.TestDevice;
import org.tornadoattention.device.ComputeDevice;

/** Functions over a cache on the JVM's own engine. */
@Tag("second-tier")
class CacheFunctionsOnJvmTest extends CacheFunctionsTest {

    @Override
    ComputeDevice device() {
        return TestDevice.jvm();
    }
}
