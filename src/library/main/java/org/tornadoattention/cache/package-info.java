/**
 * Attention in inference: keys and values that stay on the device and grow token by token, and batches of sequences of
 * different lengths. Start here: {@link org.tornadoattention.cache.KvCache}, then
 * {@link org.tornadoattention.cache.PagedKvCache} and {@link org.tornadoattention.cache.RaggedAttention}.
 */
@NullMarked
package org.tornadoattention.cache;

import org.jspecify.annotations.NullMarked;
