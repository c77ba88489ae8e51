/**
 * What kernels share, one file for each concern: static methods that TornadoVM inlines, and phases, which the forge
 * writes out. Start here: {@link org.tornadoattention.kernel.parts.Placement} and
 * {@link org.tornadoattention.kernel.parts.Window} say where a tile lies and which keys it sees,
 * {@link org.tornadoattention.kernel.parts.Score} what softmax is taken of,
 * {@link org.tornadoattention.kernel.parts.RowEnd} how a row ends;
 * {@link org.tornadoattention.kernel.parts.LocalTiles}, {@link org.tornadoattention.kernel.parts.TileProducts} and
 * {@link org.tornadoattention.kernel.parts.RegisterTile} hold the tiles.
 */
@NullMarked
package org.tornadoattention.kernel.parts;

import org.jspecify.annotations.NullMarked;
