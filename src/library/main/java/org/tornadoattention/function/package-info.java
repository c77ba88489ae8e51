/**
 * Score and mask functions of a user's: what a lambda captured and where its code is, whether that can become part of a
 * kernel, its derivative, and the class that has all of it in place of
 * {@link org.tornadoattention.kernel.parts.Functions}. Start here: {@link UserFunctions}.
 *
 * <p><b>How many forms there are.</b> TornadoVM keeps every method that it compiled, so a kernel's form with a function
 * stays for ever. A form is therefore made for a function's code, the types of the arrays and the values of the numbers
 * that it captured, and is used again for all that agree in these: another array, another length and another problem
 * need none.
 */
@NullMarked
package org.tornadoattention.function;

import org.jspecify.annotations.NullMarked;
