/**
 * Tensors over TornadoVM's off-heap arrays, their element types, and safetensors files. Start here:
 * {@link org.tornadoattention.tensor.Tensor}.
 */
@NullMarked
package org.tornadoattention.tensor;

import org.jspecify.annotations.NullMarked;
