package org.tornadoattention.spark;

import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.broadcast.Broadcast;
import org.tornadoattention.tensor.Tensor;

/**
 * Gradients of attention over a sequence whose keys are in an RDD: those of the queries on the driver, those of keys
 * and values where these were. Close it when they were used.
 */
public final class SequenceGradients implements AutoCloseable {

    private final Tensor dQ;
    private final JavaRDD<PartGradients> parts;
    private final List<Broadcast<TensorBytes>> inputs;

    SequenceGradients(Tensor dQ, JavaRDD<PartGradients> parts, List<Broadcast<TensorBytes>> inputs) {
        this.dQ = dQ;
        this.parts = parts;
        this.inputs = inputs;
    }

    /**
     * With respect to the queries.
     *
     * @return of the shape and type of q
     */
    public Tensor dQ() {
        return dQ;
    }

    /**
     * With respect to keys and values: each part as {@link KeyValues} of the same range.
     *
     * @return an RDD with the partitions of the keys', kept by the executors until this is closed
     */
    public JavaRDD<KeyValues> keyValues() {
        return parts.map(part -> part.keyValues);
    }

    /** Frees what the executors kept. */
    @Override
    public void close() {
        parts.unpersist();
        inputs.forEach(Broadcast::destroy);
    }
}
