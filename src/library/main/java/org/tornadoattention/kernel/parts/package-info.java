/**
 * What kernels share, one file for each concern: static methods that TornadoVM inlines. Start here: {@link
 * org.tornadoattention.kernel.parts.Placement} and {@link org.tornadoattention.kernel.parts.Window} say where a tile lies and
 * which keys it sees, {@link org.tornadoattention.kernel.parts.Score} what softmax is taken of, {@link
 * org.tornadoattention.kernel.parts.RowEnd} how a row ends.
 */
@NullMarked
package org.tornadoattention.kernel.parts;

import org.jspecify.annotations.NullMarked;
