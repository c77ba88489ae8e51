//SOURCES jbang/Setup.java
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Causal attention over 8 heads, 128 tokens each, on the best device here: the simulator where there is no TornadoVM.
 */
class HelloAttention {

    static void main() {
        Tensor q = Tensor.random(DType.F32, 1, 1, 8, 128, 64); // seed 1; [batch, heads, seq, headDim]
        Tensor k = Tensor.random(DType.F32, 2, 1, 8, 128, 64);
        Tensor v = Tensor.random(DType.F32, 3, 1, 8, 128, 64);

        try (FlashAttention attention = FlashAttention.create()) {
            AttentionResult result = attention.forward(q, k, v, AttentionOptions.causal());

            System.out.println("output " + result.output() + ", log-sum-exp " + result.logSumExp());
            System.out.println("kernel " + result.execution().orElseThrow().kernel() + " on " + attention.device());
            // Under a causal mask the first query sees the first key only, so its output is the first value.
            System.out.println("o[0] " + result.output().get(0, 0, 0, 0) + ", v[0] " + v.get(0, 0, 0, 0));
        }
    }
}
