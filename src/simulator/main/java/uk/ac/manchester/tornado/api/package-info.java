/**
 * TornadoVM's API as programs see it, carried out on the JVM. Start with {@link uk.ac.manchester.tornado.api.TaskGraph}
 * and {@link uk.ac.manchester.tornado.api.TornadoExecutionPlan}; {@link uk.ac.manchester.tornado.api.KernelContext} is
 * what a kernel asks. What they do is in {@code org.tornadoattention.simulator.engine}.
 */
package uk.ac.manchester.tornado.api;
