/**
 * Measuring: cases, sessions of them with checked results, ceilings of a device, peers, tuning. Start here:
 * {@link org.tornadoattention.bench.BenchSession}.
 */
@NullMarked
package org.tornadoattention.bench;

import org.jspecify.annotations.NullMarked;
