/**
 * Warp instructions for TornadoVM's CUDA compiler. Start here: {@link org.tornadoattention.cuda.CudaCompilerExtension},
 * which the library finds as a service; {@link org.tornadoattention.cuda.WarpPlugins} says what becomes of each call.
 */
@NullMarked
package org.tornadoattention.cuda;

import org.jspecify.annotations.NullMarked;
