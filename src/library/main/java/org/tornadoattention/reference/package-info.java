/**
 * What attention must give, in float64, and how far a result may be from it. Start here:
 * {@link org.tornadoattention.reference.AccuracyCheck}.
 */
@NullMarked
package org.tornadoattention.reference;

import org.jspecify.annotations.NullMarked;
