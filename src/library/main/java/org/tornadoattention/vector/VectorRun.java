package org.tornadoattention.vector;

/**
 * What a pass took.
 *
 * @param blockQ rows of a tile
 * @param blockK keys of a tile
 * @param nanoseconds of the whole pass
 * @param bytes of memory beyond the tensors: a tile for each thread, and parts of rows where the keys were divided
 */
public record VectorRun(int blockQ, int blockK, long nanoseconds, long bytes) {}
