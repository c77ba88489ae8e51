/**
 * Choosing: a problem and a device in, a kernel and its tile out. This is the only place that decides.
 *
 * <p>Start here: {@link org.tornadoattention.choice.KernelChoice} says how the ladder of
 * {@link org.tornadoattention.choice.AttentionKernel} is climbed, and {@link org.tornadoattention.choice.KernelSpec}
 * what a kernel says of itself. {@link org.tornadoattention.choice.DecodeChoice} is the like for steps of inference. A
 * new kernel is its file in {@code kernel}, a description here and a constant of {@code AttentionKernel}. Nothing here
 * builds or runs a graph.
 */
@NullMarked
package org.tornadoattention.choice;

import org.jspecify.annotations.NullMarked;
