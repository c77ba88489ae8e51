package org.tornadoattention.simulator.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.parallel.ResourceLock;
import org.tornadoattention.simulator.Check;
import org.tornadoattention.simulator.SimulatorSettings;

/**
 * Runs the kernels of a test, or of all tests of a class, with the simulator's checks on. A fault fails the test, also
 * where the code under test catches it, and so does a kernel that ran unchecked since its method was not found. A
 * parameter of type {@link KernelRuns} lets the test ask what its kernels did, and expect a fault.
 *
 * <pre>{@code
 * @SimulatedKernels
 * class TransposeTest {
 *     @Test
 *     void readsEachElementOnce(KernelRuns runs) {
 *         transpose(in, out);                                  // executes a plan
 *         assertEquals(n * n, runs.of("graph.transpose").array("in").elementsRead());
 *     }
 * }
 * }</pre>
 *
 * <p>An annotation on a method takes the place of that on its class. The simulator's settings are those of the JVM, so
 * that tests with this annotation do not run at the same time as each other.
 */
@Documented
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.TYPE, ElementType.METHOD})
@ExtendWith(SimulatedKernelsExtension.class)
@ResourceLock("org.tornadoattention.simulator")
public @interface SimulatedKernels {

    /** The checks to leave out; all others are on, whatever the system properties say. */
    Check[] without() default {};

    /**
     * The seed that shuffles groups and work-items; 0 keeps their natural order. A right kernel gives the same in any.
     */
    long seed() default 0;

    /**
     * Bytes of local memory that a group has, or -1 for what {@link SimulatorSettings} say, which is 48 KiB unless set.
     */
    long localMemory() default -1;

    /** The most groups that run at the same time, or -1 for as many as there are processors. */
    int threads() default -1;
}
