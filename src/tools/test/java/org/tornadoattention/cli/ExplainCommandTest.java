package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.tornadoattention.device.Devices;

class ExplainCommandTest {

    @Test
    void aCausalProblemIsExplained() {
        Invocation run = Invocation.of(
                "explain", "--kernel", "tiled", "--tile", "32x16", "--heads", "2", "--seq", "64", "--causal");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out())
                .contains("chosen because  tile asked for", "32 queries × 16 keys", "4 of 32 work-items")
                .contains("    ▒▒··\n    ██▒▒\n")
                .contains("█ full: 2   ▒ partial, where the mask is tested: 4   · skipped, never loaded: 2 (25%)")
                .containsPattern("0 … 15 +\\d\\.\\d{4}  \\d\\.\\d{4}  0\\.0000")
                .containsPattern("48 … 63 ")
                .contains("traffic, this kernel", "expected bound");
        // 6 tiles of 16 keys and values, q and o, and the log-sum-exp, for 2 heads.
        long bytes = 2 * (4L * (2 * 64 * 64 + 6 * 16 * 2 * 64) + 4 * 64);
        assertThat(run.out()).contains("traffic, this kernel    " + Units.bytes(bytes));
    }

    @Test
    void aMaskIsDrawnTileByTile() {
        Invocation run = Invocation.of(
                "explain",
                "--seq",
                "64",
                "--tile",
                "16x16",
                "--heads",
                "1",
                "--head-dim",
                "16",
                "--causal",
                "--mask",
                "document:32");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("▒···", "█▒··", "··▒·", "··█▒", "density 0.375");
        assertThat(run.out()).contains("32 … 47", "48 … 63").doesNotContain("16 … 31");
    }

    /** By arithmetic: of n × n square tiles under a causal mask n are partial, and half of the others full. */
    @Test
    void fourMillionTokensAreExplainedWithoutLookingAtEachTile() {
        Invocation run = Invocation.of(
                "explain", "--heads", "1", "--head-dim", "1", "--seq", "4000000", "--tile", "32x32", "--causal");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out())
                .contains("Down: 4,000,000 queries in 125,000 rows; across: 4,000,000 keys in 125,000 columns")
                .contains("█ full: 7,812,437,500   ▒ partial, where the mask is tested: 125,000"
                        + "   · skipped, never loaded: 7,812,437,500 (50%)");
    }

    @Test
    void aMaskThatWouldBeAskedForHoursIsRefused() {
        Invocation run = Invocation.of("explain", "--heads", "1", "--seq", "4000000", "--mask", "document:256");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("about each of 16,000,000,000,000 pairs").contains("a shorter length");
    }

    @Test
    void aTileOfAnotherKernelIsRefused() {
        Invocation run = Invocation.of("explain", "--kernel", "online", "--tile", "32x16");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("32x16 is one of the kernel tiled, not of online");
    }

    @Test
    void aKernelWithoutTilesIsDrawnWithThoseOfTheTiledOne() {
        Invocation run = Invocation.of("explain", "--kernel", "online", "--seq", "64");
        assertThat(run.exitCode()).as(run.err()).isZero();
        assertThat(run.out()).contains("online has no tiles", "K and V once for each query that sees them");
    }

    @Test
    void aQueryThatSeesNothingIsSaidToSeeNothing() {
        Invocation run = Invocation.of("explain", "--seq", "16", "--queries", "32", "--causal", "--row", "0");
        assertThat(run.out()).contains("This query sees no key: its output is 0 and its log-sum-exp −∞.");
    }

    @Test
    void deviceCodeComesFromAnSdkOnly() {
        Invocation run = Invocation.of("explain", "--code", "--heads", "1", "--seq", "64", "--head-dim", "16");
        if (Devices.bestForTaskGraphs().isSimulator()) {
            assertThat(run.exitCode()).isEqualTo(2);
            assertThat(run.err()).contains("Set TORNADOVM_HOME to a TornadoVM SDK");
        } else {
            assertThat(run.exitCode()).as(run.err()).isZero();
        }
    }

    @Test
    void idsThatNoMaskAsksForAreRefused() {
        Invocation alone = Invocation.of("explain", "--seq", "12", "--ids", "0,1");
        assertThat(alone.exitCode()).isEqualTo(2);
        assertThat(alone.err()).contains("--ids without a mask that has ids");
        Invocation few = Invocation.of("explain", "--seq", "12", "--mask", "tree:4", "--ids", "-1,0");
        assertThat(few.exitCode()).isEqualTo(2);
        assertThat(few.err()).contains("For 12 queries and 12 keys write tree:0, with 12 ids; --ids has 2.");
    }

    @Test
    void rowsThatAreNotThereAreRefused() {
        Invocation run = Invocation.of("explain", "--seq", "16", "--row", "16");
        assertThat(run.exitCode()).isEqualTo(2);
        assertThat(run.err()).contains("--row is 16, and there are 16 queries");
    }
}
