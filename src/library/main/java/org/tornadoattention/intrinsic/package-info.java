/**
 * Calls that a GPU's compiler replaces by instructions which TornadoVM has no name for, and the simulator by what they
 * do there. They know nothing of attention: see {@code examples/TensorCoreMatrixProduct.java}.
 */
@NullMarked
package org.tornadoattention.intrinsic;

import org.jspecify.annotations.NullMarked;
