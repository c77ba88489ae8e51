/** What TornadoVM measures of a run. Start with {@link uk.ac.manchester.tornado.api.profiler.ProfilerInterface}. */
package uk.ac.manchester.tornado.api.profiler;
