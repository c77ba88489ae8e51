/**
 * Inference: what a cache's steps, ragged batches and merges are made of, as tasks, arrays and grids, and their plans.
 *
 * <p>Start here: {@link org.tornadoattention.decode.CachePlan} runs the steps of a cache,
 * {@link org.tornadoattention.decode.InferencePlans} ragged batches and merges. {@code InferenceTasks} turns a step
 * into tasks, and {@code CacheState} holds what stays on the device between steps.
 */
@NullMarked
package org.tornadoattention.decode;

import org.jspecify.annotations.NullMarked;
