/**
 * TornadoVM's tile of numbers that a SIMD group holds. Start with
 * {@link uk.ac.manchester.tornado.api.types.matrix.Matrix8x8Float}.
 */
package uk.ac.manchester.tornado.api.types.matrix;
