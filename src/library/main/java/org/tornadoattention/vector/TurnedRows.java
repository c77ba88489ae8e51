package org.tornadoattention.vector;

/**
 * Rows of another source, turned by the rotary embedding.
 *
 * @param positions where the first row of each sequence stands
 */
record TurnedRows(RowSource rows, Rotation rotation, int[] positions) implements RowSource {

    @Override
    public void read(
            int sequence, int head, int row, int count, float[] target, int at, int stride, short[] bits, Lanes lanes) {
        rows.read(sequence, head, row, count, target, at, stride, bits, lanes);
        for (int i = 0; i < count; i++) {
            rotation.turn(target, at + i * stride, positions[sequence] + row + i);
        }
    }
}
