/**
 * Algorithms, one file each: static methods that TornadoVM compiles, with loops marked {@code @Parallel} or a
 * {@code KernelContext}. Start here: {@link org.tornadoattention.kernel.OnlineSoftmaxAttention}, the smallest, then
 * {@link org.tornadoattention.kernel.TiledFlashAttention} and {@link org.tornadoattention.kernel.WarpFlashAttention}.
 * What kernels share is in {@link org.tornadoattention.kernel.parts}.
 */
@NullMarked
package org.tornadoattention.kernel;

import org.jspecify.annotations.NullMarked;
