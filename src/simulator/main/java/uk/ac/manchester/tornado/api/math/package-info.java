/** Functions that TornadoVM's compilers know. Start with {@link uk.ac.manchester.tornado.api.math.TornadoMath}. */
package uk.ac.manchester.tornado.api.math;
