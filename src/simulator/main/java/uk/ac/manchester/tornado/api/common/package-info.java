/**
 * TornadoVM's device and the types of its tasks. Start with
 * {@link uk.ac.manchester.tornado.api.common.TornadoFunctions}.
 */
package uk.ac.manchester.tornado.api.common;
