/**
 * Files that are read and written as a whole, or not at all, with messages that begin with the file. Start here:
 * {@link org.tornadoattention.file.InputFile} and {@link org.tornadoattention.file.ResultFile}.
 */
@NullMarked
package org.tornadoattention.file;

import org.jspecify.annotations.NullMarked;
