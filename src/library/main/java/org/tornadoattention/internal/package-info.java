/**
 * What several rooms of the library share, and users do not see. Start here:
 * {@link org.tornadoattention.internal.Arguments}.
 */
@NullMarked
package org.tornadoattention.internal;

import org.jspecify.annotations.NullMarked;
