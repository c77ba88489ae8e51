/**
 * Kernels made at run time. A kernel is written once, as a public static method; {@link KernelForge} makes the form of
 * it that a problem needs: the types of the arrays in parameters marked {@link org.tornadoattention.kernel.Element},
 * the values of those marked {@link org.tornadoattention.kernel.Constant}, and other code in place of some calls. Start
 * here: {@link KernelLauncher}, which binds arguments by name and appends a task to a graph.
 *
 * <p>A {@link org.tornadoattention.kernel.parts.Phase} of a kernel is written out where it is called, and the elements
 * of a {@link org.tornadoattention.kernel.parts.RegisterTile} are local variables: TornadoVM could neither inline the
 * one nor keep the other in registers.
 *
 * <p>A form is a copy of the kernel's class and of the classes whose static methods it calls, under the same names, in
 * a class loader of its own, with line numbers and variables: breakpoints in the text hold in every form. TornadoVM
 * needs the names, since it looks classes up by them, and reads the bytes of a copy through the copy's loader.
 */
@NullMarked
package org.tornadoattention.forge;

import org.jspecify.annotations.NullMarked;
