/**
 * Tests of kernels with JUnit 5: {@link org.tornadoattention.simulator.junit.SimulatedKernels} on a test has its
 * kernels simulated with all checks, and {@link org.tornadoattention.simulator.junit.KernelRuns} tells the test what
 * they did.
 */
@NullMarked
package org.tornadoattention.simulator.junit;

import org.jspecify.annotations.NullMarked;
