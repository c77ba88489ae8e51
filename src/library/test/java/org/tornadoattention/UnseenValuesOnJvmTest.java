package org.tornadoattention;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.tornadoattention.choice.AttentionKernel;

/** What the JVM's own engine makes of NaN and ∞ that a mask hides. */
@Tag("second-tier")
class UnseenValuesOnJvmTest extends UnseenValuesTest {

    @Override
    List<AttentionKernel> kernels() {
        return List.of(AttentionKernel.VECTOR);
    }
}
