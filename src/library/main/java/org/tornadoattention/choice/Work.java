package org.tornadoattention.choice;

import java.util.List;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.BackwardRowTerms;
import org.tornadoattention.kernel.SinkGradient;

/**
 * What the launches of a pass are described for.
 *
 * @param problem the problem
 * @param tiles the tiles that were chosen, none for kernels without
 * @param device the device
 */
public record Work(AttentionProblem problem, List<Tile> tiles, ComputeDevice device) {

    /** Work-items of a group where the kernel leaves it open and the device allows. */
    private static final int GROUP_SIZE = 64;

    /** Parts in which the queries of a head are summed. */
    private static final int SINK_PARTS = 256;

    /** Keeps a copy of the tiles. */
    public Work {
        tiles = List.copyOf(tiles);
    }

    AttentionShape shape() {
        return problem.shape();
    }

    /** The tile, or the first of several. */
    Tile tile() {
        return tiles.getFirst();
    }

    /** Work-items of a group where the kernel leaves it open. */
    int groupSize() {
        return (int) Math.min(GROUP_SIZE, device.maxGroupSize());
    }

    /** Tiles of so many queries in all heads. */
    long queryTiles(int block) {
        return (long) shape().batch() * shape().heads() * Math.ceilDiv(shape().seqQ(), block);
    }

    /** Tiles of so many keys in all heads of keys and values. */
    long keyTiles(int block) {
        return (long) shape().batch() * shape().kvHeads() * Math.ceilDiv(shape().seqK(), block);
    }

    /** Keys in all heads. */
    long keyRows() {
        return keyTiles(1);
    }

    /** Queries that a key's gradients are sums over: those of all heads that share it. */
    long queriesOfKey() {
        return (long) shape().groupSize() * shape().seqQ();
    }

    /** The launch of a forward kernel whose groups have a tile of queries each. */
    Launch tiled(Class<?> kernel) {
        return Launch.of("", kernel, "attention")
                .with("blockQ", tile().blockQ())
                .with("blockK", tile().blockK())
                .groups(queryTiles(tile().blockQ()), tile().groupSize(shape().widestDim()));
    }

    /** The same where the group's warps divide the queries. */
    Launch warps(Class<?> kernel) {
        return tiled(kernel).adding(tile().features());
    }

    /** {@return launches that follow those of a kernel's backward pass, for the gradient of sinks} */
    public List<Launch> sinkGradient() {
        return List.of(
                Launch.of("-dsinks-parts", SinkGradient.class, "parts")
                        .overElements((long) shape().heads() * SINK_PARTS, groupSize()),
                Launch.of("-dsinks", SinkGradient.class, "sum").overElements(shape().heads(), groupSize()));
    }

    /** {@return the memory that the launches of {@link #sinkGradient} hand each other} */
    public Scratch sinkParts() {
        return Scratch.floats("sinkParts", (long) shape().heads() * SINK_PARTS);
    }

    /**
     * The launch that prepares a backward pass: L and D of each query.
     *
     * @param parts in how many D is summed, so that it is summed as dP is
     */
    Launch rowTerms(int parts) {
        return Launch.of("-rows", BackwardRowTerms.class, "rowTerms")
                .with("parts", parts)
                .overElements(shape().queryRows(), groupSize());
    }
}
