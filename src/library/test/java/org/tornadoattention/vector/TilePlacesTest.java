package org.tornadoattention.vector;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.tornadoattention.tensor.DType;

class TilePlacesTest {

    private static final long BEGIN = 4096;

    /** Rows one behind the other; whether it says so. */
    private record Source(StoredRows rows, boolean lieEvenly) implements RowSource {

        @Override
        public void read(
                int sequence, int head, int row, int count, float[] to, int at, int stride, short[] bits, Lanes lanes) {
            throw new AssertionError("of these rows only the places are asked for");
        }

        @Override
        public void places(int sequence, int head, int row, int count, long[] places) {
            for (int i = 0; i < count; i++) {
                places[i] = BEGIN + (row + i) * rows.stride() * rows.dtype().byteSize();
            }
        }

        @Override
        public boolean lieEvenly(int sequence, int head, int row, int count) {
            return lieEvenly;
        }
    }

    /** Rows at equal distances are where they are if each is asked for, whatever was found before. */
    @Test
    void equalDistancesSayTheSameAsEachPlace() {
        TilePlaces quick = new TilePlaces();
        for (int stride : new int[] {64, 80}) {
            StoredRows rows = new StoredRows(MemorySegment.NULL, DType.BF16, stride, 64);
            int row = 3;
            for (int[] size : new int[][] {{8, 64}, {1, 64}, {8, 64}, {1, 5}, {1, 1}, {3, 64}, {3, 64}}) {
                int tiles = size[0];
                int count = size[1];
                TilePlaces slow = new TilePlaces();
                slow.find(new Source(rows, false), rows, 0, 0, row, tiles, count);
                quick.find(new Source(rows, true), rows, 0, 0, row, tiles, count);
                for (int tile = 0; tile < tiles; tile++) {
                    slow.turnTo(tile);
                    quick.turnTo(tile);
                    assertThat(quick.areSideBySide()).isEqualTo(slow.areSideBySide());
                    for (int i = 0; i < TilePlaces.GROUP * slow.groups(); i++) {
                        assertThat(quick.base(tile) + quick.order()[i])
                                .as("%d tiles of %d, tile %d, place %d", tiles, count, tile, i)
                                .isEqualTo(slow.base(tile) + slow.order()[i]);
                    }
                }
                row += tiles * count;
            }
        }
    }

    /** A tile's groups take a row from each quarter of the rows of all tiles. */
    @Test
    void aGroupIsOfFourQuarters() {
        StoredRows rows = new StoredRows(MemorySegment.NULL, DType.F32, 32, 32);
        TilePlaces places = new TilePlaces();
        places.find(new Source(rows, true), rows, 0, 0, 0, 2, 64);
        places.turnTo(1);
        assertThat(places.areSideBySide()).isTrue();
        for (int i = 0; i < 64; i++) {
            int row = i % 4 * 32 + 16 + i / 4;
            assertThat(places.base(1) + places.order()[i]).isEqualTo(BEGIN + row * 32L * Float.BYTES);
        }
    }
}
