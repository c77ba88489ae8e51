package org.tornadoattention.cuda;

import java.util.concurrent.atomic.AtomicBoolean;
import org.tornadoattention.device.DeviceBuffer;

/** Bytes at an address of a context's device. */
final class DriverBuffer implements DeviceBuffer {

    private final Driver.Place place;
    private final long bytes;
    private final AtomicBoolean toBeFreed;

    /** @param own whether closing it frees it */
    DriverBuffer(Driver.Place place, long bytes, boolean own) {
        this.place = place;
        this.bytes = bytes;
        this.toBeFreed = new AtomicBoolean(own);
    }

    /** A buffer as one of this backend's. */
    static DriverBuffer of(DeviceBuffer buffer) {
        if (buffer instanceof DriverBuffer own) {
            return own;
        }
        throw new IllegalArgumentException("The buffer is not one of this backend.");
    }

    /** Where a run of bytes begins. */
    Driver.Place at(long first, long count) {
        if (first < 0 || count < 0 || first > bytes - count) {
            throw new IllegalArgumentException(
                    "%,d bytes from byte %,d on are not within the %,d that there are.".formatted(count, first, bytes));
        }
        return place.plus(first);
    }

    @Override
    public long bytes() {
        return bytes;
    }

    @Override
    public void close() {
        if (toBeFreed.compareAndSet(true, false)) {
            Driver.setContext(place.context());
            Driver.free(place.address());
        }
    }
}
