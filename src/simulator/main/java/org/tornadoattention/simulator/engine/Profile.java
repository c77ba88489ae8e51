package org.tornadoattention.simulator.engine;

/**
 * Times and bytes of one execution of a plan.
 *
 * @param totalNanos from the call to its return
 * @param prepareNanos finding and instrumenting kernels
 * @param copyInNanos copies to the device
 * @param copyOutNanos copies to the host
 * @param kernelNanos kernels
 * @param bytesIn bytes copied to the device
 * @param bytesOut bytes copied to the host
 * @param deviceBytes device memory that the graphs hold afterwards
 * @param globalBytes bytes that the kernels read from and wrote to device memory, -1 where they were not counted
 */
public record Profile(
        long totalNanos,
        long prepareNanos,
        long copyInNanos,
        long copyOutNanos,
        long kernelNanos,
        long bytesIn,
        long bytesOut,
        long deviceBytes,
        long globalBytes) {

    static final Profile NONE = new Profile(0, 0, 0, 0, 0, 0, 0, 0, -1);

    /** Adds up the parts of an execution as it goes. */
    static final class Recorder {

        private final long start = System.nanoTime();
        private long prepareNanos;
        private long copyInNanos;
        private long copyOutNanos;
        private long kernelNanos;
        private long bytesIn;
        private long bytesOut;

        void prepared(long nanos) {
            prepareNanos += nanos;
        }

        void copiedIn(long bytes, long nanos) {
            bytesIn += bytes;
            copyInNanos += nanos;
        }

        void copiedOut(long bytes, long nanos) {
            bytesOut += bytes;
            copyOutNanos += nanos;
        }

        void ran(long nanos) {
            kernelNanos += nanos;
        }

        Profile finish(long deviceBytes, long globalBytes) {
            return new Profile(
                    System.nanoTime() - start,
                    prepareNanos,
                    copyInNanos,
                    copyOutNanos,
                    Math.max(kernelNanos, 1),
                    bytesIn,
                    bytesOut,
                    deviceBytes,
                    globalBytes);
        }
    }
}
