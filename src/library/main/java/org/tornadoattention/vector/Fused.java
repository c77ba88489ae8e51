package org.tornadoattention.vector;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.ManagementFactory;

/** Multiply-adds with one rounding where the machine has them; without, the JVM computes them with big numbers. */
final class Fused {

    /** Whether {@code Math.fma} is an instruction here, as the JVM says. */
    static final boolean FAST = isFast();

    private Fused() {}

    private static boolean isFast() {
        try {
            return Boolean.parseBoolean(ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class)
                    .getVMOption("UseFMA")
                    .getValue());
        } catch (RuntimeException | LinkageError e) { // another JVM, or one without its management module
            return false;
        }
    }

    /** {@code x · y + z}. */
    static float fma(float x, float y, float z) {
        return FAST ? Math.fma(x, y, z) : x * y + z;
    }
}
