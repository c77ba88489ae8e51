/** What TornadoVM's PTX compiler is taught. Start here: {@link org.tornadoattention.ptx.PtxExtension}. */
@NullMarked
package org.tornadoattention.ptx;

import org.jspecify.annotations.NullMarked;
