/**
 * What extensions of several backends share. Start here: {@link org.tornadoattention.extension.ReinterpretExtension}.
 */
@NullMarked
package org.tornadoattention.extension;

import org.jspecify.annotations.NullMarked;
