/**
 * FlashAttention on TornadoVM. Start here: {@link org.tornadoattention.FlashAttention} computes attention and its
 * gradients, {@link org.tornadoattention.AttentionOptions} says which, and the other types are values that go in and
 * come out.
 *
 * <p>In all packages that are exported, {@code null} for an argument is an {@link java.lang.IllegalArgumentException}
 * that names the parameter, no method returns null unless it says so, and what may be missing is an
 * {@link java.util.Optional}. Mistakes of the caller are {@code IllegalArgumentException}s and, where an object is
 * closed or in another's hands, {@code IllegalStateException}s; all else that fails is an
 * {@link org.tornadoattention.AttentionException}.
 */
@NullMarked
package org.tornadoattention;

import org.jspecify.annotations.NullMarked;
