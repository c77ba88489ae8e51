package org.tornadoattention.spark;

import java.io.Serial;
import java.io.Serializable;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Optional;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** A tensor as Spark sends it: tensors themselves lie outside Java's heap. Bytes are in the order of the machines. */
final class TensorBytes implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    private final DType dtype;
    private final int[] shape;
    private final byte[] bytes;

    /** Made where it is first asked for, and shared by the tasks of an executor, which only read. */
    private transient volatile Optional<Tensor> tensor = Optional.empty();

    private TensorBytes(DType dtype, int[] shape, byte[] bytes) {
        this.dtype = dtype;
        this.shape = shape;
        this.bytes = bytes;
    }

    static TensorBytes of(Tensor tensor) {
        if (tensor.byteSize() > Tensor.MAX_ELEMENTS) {
            throw new IllegalArgumentException(
                    "%s has %,d bytes, and what Spark sends at once %,d at most: divide it by batch entries, heads or queries."
                            .formatted(tensor, tensor.byteSize(), Tensor.MAX_ELEMENTS));
        }
        MemorySegment memory = tensor.contiguous().memory().asSlice(0, tensor.byteSize());
        return new TensorBytes(tensor.dtype(), tensor.shape(), memory.toArray(ValueLayout.JAVA_BYTE));
    }

    int[] shape() {
        return shape.clone();
    }

    DType dtype() {
        return dtype;
    }

    synchronized Tensor tensor() {
        if (tensor == null || tensor.isEmpty()) {
            Tensor made = Tensor.allocate(dtype, shape);
            MemorySegment.copy(MemorySegment.ofArray(bytes), 0, made.memory(), 0, bytes.length);
            tensor = Optional.of(made);
        }
        return tensor.get();
    }
}
