package org.tornadoattention.simulator;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/** A GPU, by the numbers of its data sheet: what {@link KernelCosts} are compared with. */
public enum Gpu {
    /** NVIDIA H200. */
    H200(132, 2048, 32, 228, 1, 66.9, 4800),
    /** NVIDIA H100, SXM. */
    H100(132, 2048, 32, 228, 1, 66.9, 3350),
    /** NVIDIA A100, SXM, 80 GB. */
    A100(108, 2048, 32, 164, 1, 19.5, 2039),
    /** NVIDIA L4. */
    L4(58, 1536, 24, 100, 1, 30.3, 300),
    /** NVIDIA GeForce RTX 4090. */
    RTX4090(128, 1536, 24, 100, 1, 82.6, 1008),
    /** NVIDIA V100, SXM2. */
    V100(80, 2048, 32, 96, 0, 15.7, 900),
    /** NVIDIA T4. */
    T4(40, 1024, 16, 64, 0, 8.1, 320);

    private static final int WARP = 32;
    private static final long KIB = 1024;

    private final int multiprocessors;
    private final int workItems;
    private final int groups;
    private final long localBytes;
    private final long reservedBytes;
    private final double teraflops;
    private final double gigabytesPerSecond;

    Gpu(
            int multiprocessors,
            int workItems,
            int groups,
            int localKiB,
            int reservedKiB,
            double teraflops,
            double gigabytesPerSecond) {
        this.multiprocessors = multiprocessors;
        this.workItems = workItems;
        this.groups = groups;
        this.localBytes = localKiB * KIB;
        this.reservedBytes = reservedKiB * KIB;
        this.teraflops = teraflops;
        this.gigabytesPerSecond = gigabytesPerSecond;
    }

    /**
     * Returns the GPU of that name, in whatever case.
     *
     * @throws IllegalArgumentException if there is none
     */
    public static Gpu parse(String name) {
        return Arrays.stream(values())
                .filter(gpu -> gpu.name().equalsIgnoreCase(name.strip()))
                .findFirst()
                .orElseThrow(
                        () -> new IllegalArgumentException("there is no GPU " + name + " here; known are " + names()));
    }

    /** Returns the names of all, as {@link #parse} takes them. */
    public static String names() {
        return Arrays.stream(values())
                .map(gpu -> gpu.name().toLowerCase(Locale.ROOT))
                .collect(Collectors.joining(", "));
    }

    /** Returns the multiprocessors. */
    public int multiprocessors() {
        return multiprocessors;
    }

    /** Returns the work-items that a multiprocessor holds. */
    public int workItems() {
        return workItems;
    }

    /** Returns the operations on F32 per second outside of the tensor cores, a fused multiply-add being two; 10¹². */
    public double teraflops() {
        return teraflops;
    }

    /** Returns the bytes per second of device memory, 10⁹. */
    public double gigabytesPerSecond() {
        return gigabytesPerSecond;
    }

    /** Returns how many groups a multiprocessor holds at the same time, as far as registers leave room. */
    public int groupsAtOnce(int groupSize, long localBytesOfGroup) {
        int whole = (groupSize + WARP - 1) / WARP * WARP;
        long byMemory = localBytesOfGroup == 0 ? groups : localBytes / (localBytesOfGroup + reservedBytes);
        return (int) Math.min(Math.min(groups, workItems / whole), byMemory);
    }

    /**
     * Returns the share of the work-items that a multiprocessor could hold, from 0 to 1, as far as registers leave
     * room.
     */
    public double occupancy(int groupSize, long localBytesOfGroup) {
        int whole = (groupSize + WARP - 1) / WARP * WARP;
        return (double) groupsAtOnce(groupSize, localBytesOfGroup) * whole / workItems;
    }

    /** Returns the operations for each byte from which on arithmetic, and no longer memory, is the limit. */
    public double ridge() {
        return teraflops * 1e3 / gigabytesPerSecond;
    }
}
