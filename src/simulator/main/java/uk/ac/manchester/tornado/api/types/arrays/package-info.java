/**
 * TornadoVM's arrays outside of the Java heap. Start with
 * {@link uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray}, which all of them are.
 */
package uk.ac.manchester.tornado.api.types.arrays;
