package org.tornadoattention.choice;

/**
 * The kernels of inference: attention over keys that are split among work-groups, the fastest last, and the JVM's own.
 */
public enum DecodeKernel {
    /** A key at a time for each row of work-items. All types, on every device. */
    SPLIT_KEY(new SplitKeySpec()),
    /** Keys and values through local memory, products on tensor cores. F16 and BF16. */
    WARP_SPLIT_KEY(new WarpSplitKeySpec()),
    /** Tiles of 64 queries and more, by asynchronous products of warp groups. F16 and BF16. */
    WARP_GROUP(new WarpGroupChunkSpec()),
    /** Rows of queries through tiles of keys and values, on the JVM itself. All types. */
    VECTOR(new VectorDecodeSpec());

    private final DecodeSpec spec;

    DecodeKernel(DecodeSpec spec) {
        this.spec = spec;
    }

    /** What it says of itself. */
    DecodeSpec spec() {
        return spec;
    }

    /** {@return what it does, in a few words} */
    public String summary() {
        return spec.summary();
    }

    /** {@return its name on the command line, such as {@code warp-split-key}} */
    public String id() {
        return KernelNames.id(this);
    }

    /**
     * The kernel of that name.
     *
     * @param id a name such as {@code split-key}
     * @return the kernel
     * @throws IllegalArgumentException if there is none
     */
    public static DecodeKernel parse(String id) {
        return KernelNames.parse(id, "decode kernel", values());
    }
}
