package org.tornadoattention;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.choice.AttentionKernel;

/** The grid of gradients on the JVM's own engine. */
@Tag("second-tier")
class GradientGridOnJvmTest extends GradientGridTest {

    @Override
    boolean tries(AttentionKernel kernel) {
        return kernel == AttentionKernel.VECTOR;
    }
}
