package org.tornadoattention.plan;

import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionPart.Range;
import org.tornadoattention.device.DeviceBuffer;
import org.tornadoattention.tensor.Tensor;

/** The rows of a tensor that a device owns, {@code [batch, heads, rows, …]}: on the host, or on that device. */
final class Share {

    private final int device;
    private final Range rows;
    private final Tensor host;
    private @Nullable DeviceBuffer buffer;

    /**
     * Rows on the host.
     *
     * @param device the owner's position among the devices
     * @param rows which of the sequence
     */
    Share(int device, Range rows, Tensor host) {
        this.device = device;
        this.rows = rows;
        this.host = host;
    }

    int device() {
        return device;
    }

    Range rows() {
        return rows;
    }

    /** The rows, or where they go to from the device. */
    Tensor host() {
        return host;
    }

    boolean isOnDevice() {
        return buffer != null;
    }

    /** From now on the rows are on the device. */
    void keepIn(DeviceBuffer memory) {
        buffer = memory;
    }

    DeviceBuffer buffer() {
        if (buffer == null) {
            throw new IllegalStateException("These rows are with the host.");
        }
        return buffer;
    }

    /** Bytes of all rows in all heads. */
    long bytes() {
        return host.byteSize();
    }

    /** Bytes of a row. */
    long rowBytes() {
        int rank = host.rank();
        return (long) host.dtype().byteSize() * (rank == 4 ? host.dimension(3) : 1);
    }

    void close() {
        if (buffer != null) {
            buffer.close();
        }
    }
}
