package org.tornadoattention.peers;

import static org.assertj.core.api.Assertions.assertThat;

import ai.onnxruntime.OrtException;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.BenchCase;
import org.tornadoattention.bench.BenchResult;
import org.tornadoattention.bench.Direction;
import org.tornadoattention.tensor.DType;

/** All graphs compute attention, by the same rule that our kernels are judged by. */
class OnnxRuntimeTest {

    @ParameterizedTest
    @CsvSource({"STANDARD, false", "STANDARD, true", "FUSED, false", "FUSED, true", "GROUPED, true"})
    void theGraphsAreAttention(OnnxRuntimePeer.Graph graph, boolean causal) throws OrtException {
        AttentionShape shape = new AttentionShape(2, 3, 3, 40, 40, 16);
        BenchResult result =
                OnnxRuntimePeer.measure(new BenchCase(Direction.FORWARD, DType.F32, shape, causal), graph, 1);
        assertThat(result.accuracy().passed()).isTrue();
        assertThat(result.accuracy().maxError()).isPositive();
        assertThat(result.timing().kernelMilliseconds()).isPositive();
    }
}
