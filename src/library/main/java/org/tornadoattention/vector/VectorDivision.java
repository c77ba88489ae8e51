package org.tornadoattention.vector;

/**
 * How a forward pass is divided among threads.
 *
 * @param rows pairs of a query and a head in a tile at most
 * @param parts of the keys
 */
public record VectorDivision(int rows, int parts) {}
