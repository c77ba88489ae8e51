package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.kernel.QuantizeTiles;
import org.tornadoattention.kernel.WarpGroupFp8FlashAttention;
import org.tornadoattention.tensor.DType;

/** {@link WarpGroupFp8FlashAttention}, with the kernels that round its inputs. */
record WarpGroupFp8Spec() implements KernelSpec {

    private static final Tiling TILING = new Tiles();

    /** Elements of the scales to a tile of K and V. */
    private static final int KEY_VALUE_SCALES = 2;

    /** Groups that round, of which a multiprocessor runs two where heads are not wide. */
    private static final int GROUPS_OF_MULTIPROCESSOR = 2;

    @Override
    public String summary() {
        return "asynchronous tensor cores, products of 8 bits";
    }

    @Override
    public Set<DType> dtypes() {
        return Set.of(DType.F16, DType.BF16);
    }

    @Override
    public boolean dropout() {
        return false;
    }

    @Override
    public boolean fp8() {
        return true;
    }

    @Override
    public boolean onlyWhereAskedFor() {
        return true;
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
        return new Backward.None("its log-sum-exp is that of rounded scores. Choose warp-group.");
    }

    @Override
    public Traffic traffic() {
        return Traffic.EACH_TILE;
    }

    /** Copies of Q, K and V in bytes, whole tiles of each, and the scales of their tiles. */
    @Override
    public List<Scratch> scratch(AttentionShape shape, Optional<Tile> tile) {
        return tile.map(given -> {
                    long queryTiles = (long) shape.batch() * shape.heads() * Math.ceilDiv(shape.seqQ(), given.blockQ());
                    long keyTiles = (long) shape.batch() * shape.kvHeads() * Math.ceilDiv(shape.seqK(), given.blockK());
                    long rowInts = QuantizeTiles.paddedDim(shape.headDim()) / Integer.BYTES;
                    return List.of(
                            Scratch.ints("queryBytes", queryTiles * given.blockQ() * rowInts),
                            Scratch.ints("keyBytes", keyTiles * given.blockK() * rowInts),
                            Scratch.ints("valueBytes", keyTiles * given.blockK() * rowInts),
                            Scratch.floats("queryScales", queryTiles),
                            Scratch.floats("keyValueScales", keyTiles * KEY_VALUE_SCALES));
                })
                .orElse(List.of());
    }

    /** Three that round Q, K and V to 8 bits, and one that multiplies. */
    @Override
    public List<Launch> forward(Work work) {
        AttentionShape shape = work.shape();
        Tile tile = work.tile();
        return List.of(
                Launch.of("-query", QuantizeTiles.class, "rows")
                        .with("source", "query")
                        .with("target", "queryBytes")
                        .with("scales", "queryScales")
                        .with("seq", shape.seqQ())
                        .with("block", tile.blockQ())
                        .with("spacing", 1)
                        .with("factor", work.problem().scale() / QuantizeTiles.GAIN)
                        .with("staying", (int) staying(work, work.queryTiles(tile.blockQ())))
                        .leavingOut(work.problem().features())
                        .groups(
                                staying(work, work.queryTiles(tile.blockQ())),
                                QuantizeTiles.groupSize(shape.headDim())),
                keys("-key", "rows", work)
                        .with("source", "key")
                        .with("target", "keyBytes")
                        .with("factor", 1f),
                keys("-value", "columns", work).with("source", "value").with("target", "valueBytes"),
                Launch.of("", WarpGroupFp8FlashAttention.class, "attention")
                        .with("query", "queryBytes")
                        .with("key", "keyBytes")
                        .with("value", "valueBytes")
                        .with("blockK", tile.blockK())
                        .adding(tile.features())
                        .groups(work.queryTiles(tile.blockQ()), tile.groupSize(shape.headDim())));
    }

    private static Launch keys(String suffix, String method, Work work) {
        int block = work.tile().blockK();
        return Launch.of(suffix, QuantizeTiles.class, method)
                .with("scales", "keyValueScales")
                .with("heads", work.shape().kvHeads())
                .with("seq", work.shape().seqK())
                .with("block", block)
                .with("spacing", KEY_VALUE_SCALES)
                .with("staying", (int) staying(work, work.keyTiles(block)))
                .groups(
                        staying(work, work.keyTiles(block)),
                        QuantizeTiles.groupSize(work.shape().headDim()));
    }

    /** Groups that round so many tiles: those that the device runs at once. */
    private static long staying(Work work, long tiles) {
        return Math.min(tiles, (long) GROUPS_OF_MULTIPROCESSOR * work.device().computeUnits());
    }

    private static final class Tiles extends WarpTiling {

        Tiles() {
            super(AttentionKernel.WARP_GROUP_FP8);
        }

        @Override
        boolean share(int warps, int blockQ) {
            return blockQ == 16 * warps && warps % 4 == 0;
        }

        @Override
        int keyStep() {
            return 32;
        }

        /** One warp group more, which copies. */
        @Override
        int groupSize(Tile tile, int headDim) {
            return WarpGroupFp8FlashAttention.groupSize(tile.blockQ());
        }

        @Override
        int localMemoryBytes(Tile tile, int headDim) {
            return Math.max(
                    WarpGroupFp8FlashAttention.localMemoryBytes(headDim, tile.blockQ(), tile.blockK()),
                    QuantizeTiles.localMemoryBytes(headDim, Math.max(tile.blockQ(), tile.blockK())));
        }

        @Override
        Stream<String> untuned() {
            return Stream.of("128x128/8", "64x64/4", "64x32/4");
        }

        @Override
        public List<Tile> worthTrying() {
            return combinations(List.of("64/4", "128/8", "192/12", "256/16"), 64, 96, 128, 160, 192);
        }
    }
}
