package org.tornadoattention.vector;

/**
 * Where the tokens of a cache's sequences are.
 *
 * @param kvHeads key and value heads of a page
 * @param pageSize tokens of a page
 * @param tables pages of each sequence, in order
 * @param padding of each sequence, how many of its first tokens are padding and no rows
 */
record PageTables(int kvHeads, int pageSize, int[][] tables, int[] padding) {

    /** The head of a page that holds a token of a sequence, counted over all pages. */
    int pageHead(int sequence, int head, int token) {
        return tables[sequence][token / pageSize] * kvHeads + head;
    }

    /** The row of a token among all rows of all pages. */
    long row(int sequence, int head, int token) {
        return (long) pageHead(sequence, head, token) * pageSize + token % pageSize;
    }

    /** Tokens from {@code token} on that lie side by side, of {@code count}. */
    int together(int token, int count) {
        return Math.min(count, pageSize - token % pageSize);
    }
}
