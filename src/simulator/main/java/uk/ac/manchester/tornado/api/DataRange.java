package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** A part of an array, for a copy to the host. */
public class DataRange {

    private final TornadoNativeArray array;
    private long offset;
    private long size;
    private boolean materialized;

    /** Creates a range over the whole of {@code tornadoNativeArray}. */
    public DataRange(TornadoNativeArray tornadoNativeArray) {
        this.array = tornadoNativeArray;
    }

    /** Starts the range at element {@code offset}. */
    public DataRange withOffset(long offset) {
        this.offset = offset;
        return this;
    }

    /** Ends the range after {@code size} elements; 0 means as many as the array has. */
    public DataRange withSize(long size) {
        this.size = size;
        return this;
    }

    /** Returns the first byte of the range, header included; only after {@link #materialize()}. */
    public long getOffset() {
        requireMaterialized();
        return TornadoNativeArray.ARRAY_HEADER + offset * array.getElementSize();
    }

    /** Returns the bytes of the range; only after {@link #materialize()}. */
    public long getPartialSize() {
        requireMaterialized();
        return elements() * array.getElementSize();
    }

    /** Fixes the range; throws if it does not fit the array. */
    public void materialize() {
        if (offset < 0 || size < 0 || offset + elements() > array.getSize()) {
            throw new TornadoRuntimeException("A range of " + elements() + " elements from " + offset
                    + " does not fit an array of " + array.getSize() + "; give withOffset and withSize that do");
        }
        materialized = true;
    }

    /** Returns the array. */
    public TornadoNativeArray getArray() {
        return array;
    }

    private long elements() {
        return size == 0 ? array.getSize() : size;
    }

    private void requireMaterialized() {
        if (!materialized) {
            throw new TornadoRuntimeException("Call materialize() before asking a DataRange for its bytes");
        }
    }
}
