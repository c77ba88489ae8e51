package org.tornadoattention.kernel;

import org.tornadoattention.kernel.parts.HeadTerms;
import org.tornadoattention.kernel.parts.RowTerms;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * The gradient of attention with respect to the sinks: {@code dt = -Σ e^(t - L) D} over the queries of a head, with L
 * and D of {@link BackwardRowTerms}. In two launches, sums of interleaved parts and the sum of these, so that many
 * work-items share a head and every run gives the same bits.
 *
 * <p><b>Arrays.</b> rowTerms {@code [batch, heads, seqQ, 2]}, headTerms of {@link HeadTerms}, sinkParts {@code [heads,
 * parts]}, sinkGradient {@code [heads]}.
 *
 * <p><b>Grid.</b> One dimension: an element of the parts, or of the gradient, a work-item; groups of any size. No local
 * memory. <b>Device.</b> Any.
 */
public final class SinkGradient {

    private SinkGradient() {}

    /** Sums of every so-manieth query of each head. */
    public static void parts(
            FloatArray rowTerms, FloatArray headTerms, FloatArray sinkParts, int heads, int seqQ, int features) {
        for (@Parallel int element = 0; element < sinkParts.getSize(); element++) {
            int parts = sinkParts.getSize() / heads;
            int head = element / parts;
            int queries = rowTerms.getSize() / 2 / heads;
            float sink = HeadTerms.sink(headTerms, head, features);
            float sum = 0f;
            for (int n = element % parts; n < queries; n += parts) {
                int row = (n / seqQ * heads + head) * seqQ + n % seqQ;
                sum -= TornadoMath.exp(sink - RowTerms.logSumExp(rowTerms, row)) * RowTerms.d(rowTerms, row);
            }
            sinkParts.set(element, sum);
        }
    }

    /** Their sum. */
    public static void sum(FloatArray sinkParts, FloatArray sinkGradient) {
        for (@Parallel int head = 0; head < sinkGradient.getSize(); head++) {
            int parts = sinkParts.getSize() / sinkGradient.getSize();
            float sum = 0f;
            for (int part = 0; part < parts; part++) {
                sum += sinkParts.get(head * parts + part);
            }
            sinkGradient.set(head, sum);
        }
    }
}
