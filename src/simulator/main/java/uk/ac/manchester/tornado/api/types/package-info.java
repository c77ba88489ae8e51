/** TornadoVM's numbers of 8 and 16 bits. Start with {@link uk.ac.manchester.tornado.api.types.HalfFloat}. */
package uk.ac.manchester.tornado.api.types;
