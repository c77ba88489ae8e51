package org.tornadoattention.forge;

import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Keeps the forms that tests made last, for the next ones: to make a form, the simulator's copy of it and machine code
 * of that copy takes longer than most tests' kernels run. JUnit finds this class as a service.
 */
public final class KeptForms implements AfterEachCallback {

    /** Some 0.5 MB of machine code each. */
    private static final int MOST = 400;

    private static final Set<ForgedKernel> KEPT = new LinkedHashSet<>();

    @Override
    public void afterEach(ExtensionContext context) {
        synchronized (KEPT) {
            KEPT.addAll(KernelForge.inUse());
            Iterator<ForgedKernel> oldest = KEPT.iterator();
            while (KEPT.size() > MOST) {
                oldest.next();
                oldest.remove();
            }
        }
    }

    /** Keeps none any more, for tests of who keeps forms. */
    static void forget() {
        synchronized (KEPT) {
            KEPT.clear();
        }
    }
}
