package org.tornadoattention.simulator.engine;

import java.util.function.BooleanSupplier;

/** Runs work-items, one to its end after the other; stands still while the present one waits. */
interface Strand {

    /** Stands still until it is woken. Called on the strand itself, as is {@link #pause}. */
    void park();

    /** Stands still, while others run, until a condition is met that is asked now and then, on whatever strand. */
    void pause(BooleanSupplier until);

    /** Has it go on. */
    void wake();

    /** Says which work-item runs, as a debugger shows it. */
    void show(WorkItem item);

    /** Returns where in the code it is. */
    StackTraceElement[] stackTrace();
}
