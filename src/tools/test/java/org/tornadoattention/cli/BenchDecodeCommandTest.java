package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Each kind of cache is checked before it is timed. */
class BenchDecodeCommandTest {

    @ParameterizedTest
    @ValueSource(
            strings = {
                "--type f16",
                "--type bf16 --splits 2",
                "--type f32 --page-size 16",
                "--type f16 --fp8",
                "--kernel split-key"
            })
    void checksAndMeasures(String kind) {
        Invocation bench = Invocation.of((Object[])
                ("bench-decode --batch 2 --keys 70 --heads 4 --kv-heads 2 --head-dim 32 --warm-up 0 --repeat 1 " + kind)
                        .split(" "));
        assertThat(bench.exitCode()).as(bench.out() + bench.err()).isZero();
        assertThat(bench.out()).contains("batch 2, 4/2 heads x 32, 70 keys", "TB/s", " ok");
    }
}
