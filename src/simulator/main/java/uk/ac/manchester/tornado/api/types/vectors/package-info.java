/**
 * TornadoVM's vectors, as far as kernels here use them. Start with
 * {@link uk.ac.manchester.tornado.api.types.vectors.Half2}.
 */
package uk.ac.manchester.tornado.api.types.vectors;
