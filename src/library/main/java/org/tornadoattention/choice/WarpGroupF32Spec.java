package org.tornadoattention.choice;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.kernel.SplitRows;
import org.tornadoattention.kernel.WarpGroupF32FlashAttention;
import org.tornadoattention.kernel.WarpGroupF32KeyValueGradients;
import org.tornadoattention.kernel.WarpGroupF32QueryGradient;
import org.tornadoattention.kernel.WarpGroupF32RowTerms;
import org.tornadoattention.kernel.WarpGroupKeyValueGradients;
import org.tornadoattention.kernel.parts.SplitTiles;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** {@link WarpGroupF32FlashAttention} and its gradients, with the kernel that splits their inputs. */
record WarpGroupF32Spec() implements KernelSpec {

    private static final Tiling TILING = new Tiles();
    private static final Tiling QUERY_GRADIENT = new QueryGradientTiling();
    private static final Tiling KEY_VALUE_GRADIENTS = new KeyValueGradientsTiling();

    @Override
    public String summary() {
        return "asynchronous tensor cores for F32, three products of F16 for one";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F32);
    }

    /** Above, registers do not hold O and what is added to it. */
    @Override
    public int widestHead() {
        return 128;
    }

    @Override
    public boolean dropout() {
        return false;
    }

    @Override
    public Capability capability() {
        return Capability.WARP_GROUP;
    }

    @Override
    public Optional<Tiling> tiling() {
        return Optional.of(TILING);
    }

    @Override
    public Backward backward() {
        return new Backward.Own(
                (problem, device) -> Stream.of(
                                List.of("128x64", "64x128"), List.of("128x32", "32x128"), List.of("64x16", "16x64"))
                        .map(pair ->
                                List.of(QUERY_GRADIENT.tile(pair.getFirst()), KEY_VALUE_GRADIENTS.tile(pair.getLast())))
                        .filter(pair ->
                                pair.stream().allMatch(tile -> tile.tiling().fits(tile, problem, device)))
                        .filter(_ -> hasRoom(problem.shape()))
                        .findFirst(),
                Optional.of(AttentionKernel.TILED),
                problem -> {
                    AttentionShape shape = problem.shape();
                    List<Scratch> scratch = new ArrayList<>(parts(shape));
                    scratch.add(Scratch.ints(
                            "outputGradientParts", shape.queryRows() * SplitTiles.rowInts(shape.headDim())));
                    scratch.add(Scratch.floats("scales", 2 * (queryBlocks(shape) + keyBlocks(shape))));
                    return scratch;
                },
                WarpGroupF32Spec::gradients);
    }

    private static List<Launch> gradients(Work work) {
        AttentionShape shape = work.shape();
        Tile queryGradient = work.tiles().getFirst();
        Tile keyValueGradients = work.tiles().getLast();
        List<Launch> launches = new ArrayList<>(inputs(work));
        long firstScale = queryBlocks(shape) + 2 * keyBlocks(shape);
        launches.add(queries("outputGradient", work, firstScale));
        launches.add(Launch.of("-rows", WarpGroupF32RowTerms.class, "rowTerms")
                .with("firstScale", Math.toIntExact(firstScale))
                .groups(queryBlocks(shape), WarpGroupF32RowTerms.GROUP_SIZE));
        launches.add(Launch.of("-dq", WarpGroupF32QueryGradient.class, "queryGradient")
                .with("blocks", WarpGroupKeyValueGradients.blocks(queryGradient.blockQ(), queryGradient.blockK()))
                .groups(
                        work.queryTiles(queryGradient.blockQ()),
                        WarpGroupF32QueryGradient.groupSize(queryGradient.blockQ())));
        launches.add(Launch.of("-dkdv", WarpGroupF32KeyValueGradients.class, "keyValueGradients")
                .with(
                        "blocks",
                        WarpGroupKeyValueGradients.blocks(keyValueGradients.blockQ(), keyValueGradients.blockK()))
                .groups(
                        work.keyTiles(keyValueGradients.blockK()),
                        WarpGroupF32KeyValueGradients.groupSize(keyValueGradients.blockK())));
        return launches;
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    /** Whether arrays hold what rows become, which short ones make longer. */
    private static boolean hasRoom(AttentionShape shape) {
        long rows = Math.max(shape.queryRows(), (long) shape.batch() * shape.kvHeads() * shape.seqK());
        return rows * SplitTiles.rowInts(shape.headDim()) <= Tensor.MAX_ELEMENTS;
    }

    private static long queryBlocks(AttentionShape shape) {
        return (long) shape.batch() * shape.heads() * SplitTiles.blocks(shape.seqQ());
    }

    private static long keyBlocks(AttentionShape shape) {
        return (long) shape.batch() * shape.kvHeads() * SplitTiles.blocks(shape.seqK());
    }

    @Override
    public List<Scratch> scratch(AttentionShape shape, Optional<Tile> tile) {
        List<Scratch> scratch = new ArrayList<>(parts(shape));
        scratch.add(Scratch.floats("scales", queryBlocks(shape) + 2 * keyBlocks(shape)));
        return scratch;
    }

    private static List<Scratch> parts(AttentionShape shape) {
        long keyInts = (long) shape.batch() * shape.kvHeads() * shape.seqK() * SplitTiles.rowInts(shape.headDim());
        return List.of(
                Scratch.ints("queryParts", shape.queryRows() * SplitTiles.rowInts(shape.headDim())),
                Scratch.ints("keyParts", keyInts),
                Scratch.ints("valueParts", keyInts));
    }

    /** Three that split Q, K and V, and one that multiplies. */
    @Override
    public List<Launch> forward(Work work) {
        List<Launch> launches = new ArrayList<>(inputs(work));
        launches.add(Launch.of("", WarpGroupF32FlashAttention.class, "attention")
                .with("blockQ", work.tile().blockQ())
                .with("blockK", work.tile().blockK())
                .groups(
                        work.queryTiles(work.tile().blockQ()),
                        work.tile().groupSize(work.shape().headDim())));
        return launches;
    }

    /** Those that split Q, K and V. */
    private static List<Launch> inputs(Work work) {
        AttentionShape shape = work.shape();
        return List.of(
                queries("query", work, 0),
                keys("key", work, queryBlocks(shape)),
                keys("value", work, queryBlocks(shape) + keyBlocks(shape)));
    }

    private static Launch queries(String tensor, Work work, long firstScale) {
        return split(tensor, firstScale)
                .with("heads", work.shape().heads())
                .with("seq", work.shape().seqQ())
                .leavingOut(work.problem().features())
                .groups(queryBlocks(work.shape()), SplitRows.GROUP_SIZE);
    }

    private static Launch keys(String tensor, Work work, long firstScale) {
        return split(tensor, firstScale)
                .with("heads", work.shape().kvHeads())
                .with("seq", work.shape().seqK())
                .groups(keyBlocks(work.shape()), SplitRows.GROUP_SIZE);
    }

    private static Launch split(String tensor, long firstScale) {
        return Launch.of("-" + tensor, SplitRows.class, "split")
                .with("source", tensor)
                .with("target", tensor + "Parts")
                .with("firstScale", Math.toIntExact(firstScale));
    }

    /** Tiles of a backward kernel: a warp group has 64 rows of one side, and a scale serves a tile of the other. */
    private abstract static class GradientTiling extends Tiling {

        GradientTiling() {
            super(AttentionKernel.WARP_GROUP_F32);
        }

        /** Rows of which warp groups have 64 each. */
        abstract int divided(int blockQ, int blockK);

        @Override
        void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
            requireNoWarps(kernel(), warps, rescaleThreshold);
            int divided = divided(blockQ, blockK);
            int other = divided == blockQ ? blockK : blockQ;
            if (divided < 64 || divided > 128 || divided % 64 != 0 || other < 16 || SplitTiles.BLOCK % other != 0) {
                throw new IllegalArgumentException(
                        "A backward tile of %d queries and %d keys does not fit warp groups: take 64 or 128 of one, and 16, 32 or 64 of the other."
                                .formatted(blockQ, blockK));
            }
        }

        @Override
        long localMemory(ComputeDevice device) {
            return device.extension().localMemoryBytes();
        }
    }

    private static final class QueryGradientTiling extends GradientTiling {

        @Override
        int divided(int blockQ, int blockK) {
            return blockQ;
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupF32QueryGradient.groupSize(tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupF32QueryGradient.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }
    }

    private static final class KeyValueGradientsTiling extends GradientTiling {

        @Override
        int divided(int blockQ, int blockK) {
            return blockK;
        }

        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupF32KeyValueGradients.groupSize(tile.blockK());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupF32KeyValueGradients.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }
    }

    private static final class Tiles extends WarpTiling {

        Tiles() {
            super(AttentionKernel.WARP_GROUP_F32);
        }

        @Override
        boolean share(int warps, int blockQ) {
            return blockQ == 16 * warps && warps % 4 == 0;
        }

        /** One warp group more, which copies. */
        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupF32FlashAttention.groupSize(tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return WarpGroupF32FlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK());
        }

        /** A tile of keys has one scale. */
        @Override
        void check(int blockQ, int blockK, int warps, int rescaleThreshold) {
            super.check(blockQ, blockK, warps, rescaleThreshold);
            if (SplitTiles.BLOCK % blockK != 0) {
                throw new IllegalArgumentException(
                        "A tile of %d keys has no scale of its own: take 16, 32 or 64.".formatted(blockK));
            }
        }

        @Override
        Stream<Tile> bestFirst(AttentionProblem problem, ComputeDevice device) {
            return hasRoom(problem.shape()) ? super.bestFirst(problem, device) : Stream.empty();
        }

        @Override
        Stream<String> untuned() {
            return Stream.of("128x64/8", "64x64/4", "64x32/4", "64x16/4");
        }

        @Override
        public List<Tile> worthTrying() {
            return combinations(List.of("64/4", "128/8", "192/12"), 32, 64);
        }
    }
}
