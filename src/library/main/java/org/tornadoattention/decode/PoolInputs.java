package org.tornadoattention.decode;

import java.util.Optional;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Strided;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Keys and values in arrays of a caller's, and what the device reads at each execution.
 *
 * @param keys pages {@code [pages, kvHeads, pageSize, headDim]}
 * @param values likewise
 * @param bytes what they are where they are quantised; otherwise they are tensors
 * @param positions for each sequence, the key position of its first query
 * @param validRows for each sequence, queries that count; without, all do
 * @param lengths for each sequence, its keys; without, the last query that counts stands on the last one
 * @param blockTable pages of each sequence, {@code [batch, pagesPerSequence]}; without, each has the page of its number
 * @param pagesPerSequence pages of a sequence at most
 * @param prefix keys that all sequences begin with
 * @param fixedSplit keys of a part, of whatever batch and chunk, or 0 to choose for the device
 * @param wanted what the caller insists on
 */
public record PoolInputs(
        Strided keys,
        Strided values,
        Optional<Bytes> bytes,
        IntArray positions,
        Optional<IntArray> validRows,
        Optional<IntArray> lengths,
        Optional<IntArray> blockTable,
        int pagesPerSequence,
        Optional<Prefix> prefix,
        int fixedSplit,
        Wanted wanted) {

    /**
     * What quantised keys and values are.
     *
     * @param type of a byte
     * @param scales {@code [pages, kvHeads, 2]}, for keys and values
     * @param wide where each execution writes what they are, or empty where kernels read bytes
     */
    public record Bytes(CacheType type, FloatArray scales, Optional<Wide> wide) {}

    /**
     * Keys and values of all sequences in a type of their own, {@code [batch, kvHeads, capacity, headDim]}.
     *
     * @param keys all keys
     * @param values likewise
     */
    public record Wide(Tensor keys, Tensor values) {}

    /**
     * A prefix that all sequences share, whose pages are not in their tables.
     *
     * @param table its pages in order
     * @param pages of it at most
     * @param length {@code [1]}: its keys
     */
    public record Prefix(IntArray table, int pages, IntArray length) {}

    /**
     * What a caller insists on.
     *
     * @param kernel that attends, or empty for the best
     * @param splits parts of the keys, or 0 to choose for the device
     */
    public record Wanted(Optional<DecodeKernel> kernel, int splits) {

        /** Nothing. */
        public static final Wanted NOTHING = new Wanted(Optional.empty(), 0);
    }

    /**
     * These inputs, of bytes, with such a copy.
     *
     * @param wide where it goes
     * @return inputs like these
     */
    public PoolInputs with(Wide wide) {
        Optional<Bytes> widened = bytes.map(of -> new Bytes(of.type(), of.scales(), Optional.of(wide)));
        return new PoolInputs(
                keys,
                values,
                widened,
                positions,
                validRows,
                lengths,
                blockTable,
                pagesPerSequence,
                prefix,
                fixedSplit,
                wanted);
    }

    /**
     * These inputs with other pages.
     *
     * @param table pages of each sequence, or empty
     * @param pages of a sequence at most
     * @param shared keys that all sequences begin with, or empty
     * @return inputs like these
     */
    public PoolInputs withPages(Optional<IntArray> table, int pages, Optional<Prefix> shared) {
        return new PoolInputs(
                keys, values, bytes, positions, validRows, lengths, table, pages, shared, fixedSplit, wanted);
    }

    /**
     * These inputs with other counts of each sequence.
     *
     * @param rows queries that count, or empty for all
     * @param keysOfEach keys, or empty where the last query stands on the last one
     * @return inputs like these
     */
    public PoolInputs withRows(Optional<IntArray> rows, Optional<IntArray> keysOfEach) {
        return new PoolInputs(
                keys,
                values,
                bytes,
                positions,
                rows,
                keysOfEach,
                blockTable,
                pagesPerSequence,
                prefix,
                fixedSplit,
                wanted);
    }

    /**
     * These inputs, divided otherwise.
     *
     * @param split keys of a part, or 0 to choose for the device
     * @param insisted what the caller insists on
     * @return inputs like these
     */
    public PoolInputs withDivision(int split, Wanted insisted) {
        return new PoolInputs(
                keys,
                values,
                bytes,
                positions,
                validRows,
                lengths,
                blockTable,
                pagesPerSequence,
                prefix,
                split,
                insisted);
    }

    /** {@return pages of keys, and of values} */
    public int pages() {
        return keys.dimension(0);
    }

    /** {@return key and value heads} */
    public int kvHeads() {
        return keys.dimension(1);
    }

    /** {@return tokens of a page} */
    public int pageSize() {
        return keys.dimension(2);
    }

    /** {@return elements of a head} */
    public int headDim() {
        return keys.dimension(3);
    }

    /** How keys and values are stored. */
    CacheType type() {
        return bytes.map(Bytes::type).orElse(CacheType.UNQUANTIZED);
    }

    /** The type that kernels multiply keys in: quantised ones are F32 there. */
    DType keyType() {
        return keys instanceof Tensor tensor ? tensor.dtype() : DType.F32;
    }

    int capacity() {
        return Math.multiplyExact(pageSize(), pagesPerSequence);
    }
}
