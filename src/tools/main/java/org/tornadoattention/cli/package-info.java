/** The command line, one class for each command. Start here: {@link org.tornadoattention.cli.Main}. */
@NullMarked
package org.tornadoattention.cli;

import org.jspecify.annotations.NullMarked;
