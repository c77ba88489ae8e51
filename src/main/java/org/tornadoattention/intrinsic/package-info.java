/**
 * Calls that a GPU's compiler replaces by instructions which TornadoVM has no name for, each with a Java body that the
 * simulator runs. They know nothing of attention: see {@code examples/TensorCoreMatrixProduct.java}.
 */
package org.tornadoattention.intrinsic;
