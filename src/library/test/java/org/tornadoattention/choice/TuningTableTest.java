package org.tornadoattention.choice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TuningTableTest {

    private static final TuningTable TABLE = TuningTable.parse(
            List.of(
                    "# a comment",
                    TuningTable.HEADER,
                    "",
                    "90,warp-group,128,0,128,128,8,8",
                    " 90 , warp-group , 64 , 0 , 192 , 128 , 12 , 8 ",
                    "90,warp-group,64,4096,128,64,8,0",
                    "90,warp,128,0,128,64,4,8",
                    "80,warp,128,512,64,32,4,4"),
            "a test");

    @ParameterizedTest
    @CsvSource({
        "90, WARP_GROUP, 64, 1, 192x128/12",
        "90, WARP_GROUP, 40, 4095, 192x128/12",
        "90, WARP_GROUP, 64, 4096, 128x64/8",
        "90, WARP_GROUP, 65, 4096, 128x128/8",
        "90, WARP_GROUP, 129, 4096, ",
        "90, WARP, 1, 1, 128x64/4",
        "80, WARP, 128, 512, 64x32/4",
        "80, WARP, 128, 511, ",
        "80, WARP_GROUP, 64, 4096, ",
        "86, WARP, 64, 4096, "
    })
    void theNarrowestLineThatHoldsIsTaken(
            int computeCapability, AttentionKernel kernel, int headDim, int queries, String tile) {
        assertThat(TABLE.tile(computeCapability, kernel, headDim, queries).map(Tile::toString))
                .isEqualTo(Optional.ofNullable(tile));
    }

    @Test
    void whatIsWrittenCanBeRead() {
        assertThat(TuningTable.parse(TABLE.toString().lines().toList(), "itself"))
                .isEqualTo(TABLE);
        assertThat(TABLE.toString()).startsWith(TuningTable.HEADER + "\n90,warp-group,128,0,128,128,8,8\n");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = ';',
            value = {
                "90,warp,64; It has 3 columns",
                "90,fast,64,0,128,64,4,8; There is no kernel 'fast'",
                "90,warp,wide,0,128,64,4,8; \"wide\"",
                "90,warp,64,0,100,64,4,8; 4 warps cannot share 100 queries",
                "90,tiled,64,0,128,64,4,8; The kernel tiled has no warps"
            })
    void aWrongLineIsNamed(String line, String reason) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> TuningTable.parse(List.of(TuningTable.HEADER, line), "my.csv"))
                .withMessageContainingAll("Line 2 of the tuning table my.csv", line, reason, TuningTable.HEADER);
    }

    /** Every line of the table that comes with the project is of use: some problem takes its tile. */
    @Test
    void theTableThatComesAlongIsInForce() throws IOException {
        List<String> lines = Files.readAllLines(Path.of("tornado-config/tuning.csv"));
        TuningTable table = TuningTable.parse(lines, "tuning.csv");
        assertThat(TuningTable.current()).isEqualTo(table);
        assertThat(table.rows())
                .isNotEmpty()
                .allSatisfy(row -> assertThat(table.tile(
                                row.computeCapability(),
                                row.kernel(),
                                row.headDimUpTo(),
                                Math.max(1, row.queriesFrom())))
                        .contains(row.tile()));
    }
}
