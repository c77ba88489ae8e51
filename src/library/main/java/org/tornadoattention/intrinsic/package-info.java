/**
 * Calls that a GPU's compiler replaces by instructions which TornadoVM has no name for, and the simulator by what they do
 * there. They know nothing of attention: see {@code examples/TensorCoreMatrixProduct.java}.
 */
package org.tornadoattention.intrinsic;
