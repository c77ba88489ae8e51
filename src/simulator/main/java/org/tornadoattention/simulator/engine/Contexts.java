package org.tornadoattention.simulator.engine;

import java.lang.invoke.MethodHandles;
import uk.ac.manchester.tornado.api.KernelContext;

/** The engine's way to kernel contexts of its own. */
public final class Contexts {

    private static Bridge bridge;

    private Contexts() {}

    /** Is called once, by the class of kernel contexts. */
    public static void install(Bridge implementation) {
        bridge = implementation;
    }

    static KernelContext create(WorkItem item) {
        return bridge().create(item);
    }

    static WorkItem itemOf(KernelContext context) {
        return bridge.itemOf(context);
    }

    private static Bridge bridge() {
        if (bridge == null) {
            try {
                MethodHandles.lookup().ensureInitialized(KernelContext.class);
            } catch (IllegalAccessException e) {
                throw new AssertionError(e);
            }
        }
        return bridge;
    }

    /** What kernel contexts show to the engine only. */
    public interface Bridge {

        /** Creates the context of a work-item. */
        KernelContext create(WorkItem item);

        /** Returns the work-item behind a context. */
        WorkItem itemOf(KernelContext context);
    }
}
