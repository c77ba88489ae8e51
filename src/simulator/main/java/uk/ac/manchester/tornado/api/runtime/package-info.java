/**
 * Where programs ask TornadoVM for its devices. Start with
 * {@link uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider}.
 */
package uk.ac.manchester.tornado.api.runtime;
