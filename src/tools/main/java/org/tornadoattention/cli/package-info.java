/** The command line, one class for each command. Start here: {@link org.tornadoattention.cli.Main}. */
package org.tornadoattention.cli;
