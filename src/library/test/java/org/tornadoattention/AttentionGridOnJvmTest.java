package org.tornadoattention;

import org.junit.jupiter.api.Tag;
import org.tornadoattention.choice.AttentionKernel;

/** The field's grids on the JVM's own engine. */
@Tag("second-tier")
class AttentionGridOnJvmTest extends AttentionGridTest {

    @Override
    boolean tries(AttentionKernel kernel) {
        return kernel == AttentionKernel.VECTOR;
    }
}
