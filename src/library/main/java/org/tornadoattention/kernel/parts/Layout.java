package org.tornadoattention.kernel.parts;

/**
 * Where rows of tensors lie that are views over arrays of a caller's. In forms of kernels for views, the forge puts a
 * constant in place of each call of a method without parameters; in other forms nothing of this is left, and rows
 * follow one another.
 *
 * <p>Batch entry b, head h and row i of a tensor begin at element {@code offset + b * batch + h * head + i * row} of
 * its array, and the elements of a row follow one another. The numbers are in elements.
 */
public final class Layout {

    private Layout() {}

    /** Whether tensors lie elsewhere than in row-major order. */
    public static boolean isStrided() {
        return false;
    }

    /** Where a query begins. */
    public static int query(int batch, int head, int row) {
        return queryOffset() + batch * queryBatch() + head * queryHead() + row * queryRow();
    }

    /** Where a key begins; with pages, of the page in place of the batch entry. */
    public static int key(int batch, int kvHead, int row) {
        return keyOffset() + batch * keyBatch() + kvHead * keyHead() + row * keyRow();
    }

    /** Likewise a value. */
    public static int value(int batch, int kvHead, int row) {
        return valueOffset() + batch * valueBatch() + kvHead * valueHead() + row * valueRow();
    }

    /** Where a row of the output begins. */
    public static int output(int batch, int head, int row) {
        return outputOffset() + batch * outputBatch() + head * outputHead() + row * outputRow();
    }

    /** Where a row of the gradient that arrives begins. */
    public static int outputGradient(int batch, int head, int row) {
        return outputGradientOffset()
                + batch * outputGradientBatch()
                + head * outputGradientHead()
                + row * outputGradientRow();
    }

    /** Where the gradient of a query begins. */
    public static int queryGradient(int batch, int head, int row) {
        return queryGradientOffset()
                + batch * queryGradientBatch()
                + head * queryGradientHead()
                + row * queryGradientRow();
    }

    /** Likewise of a key. */
    public static int keyGradient(int batch, int kvHead, int row) {
        return keyGradientOffset() + batch * keyGradientBatch() + kvHead * keyGradientHead() + row * keyGradientRow();
    }

    /** Likewise of a value. */
    public static int valueGradient(int batch, int kvHead, int row) {
        return valueGradientOffset()
                + batch * valueGradientBatch()
                + kvHead * valueGradientHead()
                + row * valueGradientRow();
    }

    public static int queryOffset() {
        return 0;
    }

    public static int queryBatch() {
        return 0;
    }

    public static int queryHead() {
        return 0;
    }

    public static int queryRow() {
        return 0;
    }

    public static int keyOffset() {
        return 0;
    }

    public static int keyBatch() {
        return 0;
    }

    public static int keyHead() {
        return 0;
    }

    public static int keyRow() {
        return 0;
    }

    public static int valueOffset() {
        return 0;
    }

    public static int valueBatch() {
        return 0;
    }

    public static int valueHead() {
        return 0;
    }

    public static int valueRow() {
        return 0;
    }

    public static int outputOffset() {
        return 0;
    }

    public static int outputBatch() {
        return 0;
    }

    public static int outputHead() {
        return 0;
    }

    public static int outputRow() {
        return 0;
    }

    public static int outputGradientOffset() {
        return 0;
    }

    public static int outputGradientBatch() {
        return 0;
    }

    public static int outputGradientHead() {
        return 0;
    }

    public static int outputGradientRow() {
        return 0;
    }

    public static int queryGradientOffset() {
        return 0;
    }

    public static int queryGradientBatch() {
        return 0;
    }

    public static int queryGradientHead() {
        return 0;
    }

    public static int queryGradientRow() {
        return 0;
    }

    public static int keyGradientOffset() {
        return 0;
    }

    public static int keyGradientBatch() {
        return 0;
    }

    public static int keyGradientHead() {
        return 0;
    }

    public static int keyGradientRow() {
        return 0;
    }

    public static int valueGradientOffset() {
        return 0;
    }

    public static int valueGradientBatch() {
        return 0;
    }

    public static int valueGradientHead() {
        return 0;
    }

    public static int valueGradientRow() {
        return 0;
    }
}
