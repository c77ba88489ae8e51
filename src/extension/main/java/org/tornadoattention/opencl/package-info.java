/** What TornadoVM's OpenCL compiler is taught. Start here: {@link org.tornadoattention.opencl.OpenClExtension}. */
@NullMarked
package org.tornadoattention.opencl;

import org.jspecify.annotations.NullMarked;
