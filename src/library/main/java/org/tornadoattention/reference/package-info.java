/**
 * What attention must give, in float64, and how far a result may be from it. Start here: {@link
 * org.tornadoattention.reference.AccuracyCheck}.
 */
package org.tornadoattention.reference;
