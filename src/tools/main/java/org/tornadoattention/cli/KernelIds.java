package org.tornadoattention.cli;

import java.util.Arrays;
import java.util.Iterator;
import org.tornadoattention.bench.TileTuner;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DecodeKernel;

/** The names of all kernels, for usage messages. */
final class KernelIds implements Iterable<String> {

    @Override
    public Iterator<String> iterator() {
        return Arrays.stream(AttentionKernel.values()).map(AttentionKernel::id).iterator();
    }

    /** The names of those that can be tuned. */
    static final class WithTilesToTune implements Iterable<String> {

        @Override
        public Iterator<String> iterator() {
            return TileTuner.KERNELS.stream().map(AttentionKernel::id).iterator();
        }
    }

    /** The names of those of inference. */
    static final class OfDecoding implements Iterable<String> {

        @Override
        public Iterator<String> iterator() {
            return Arrays.stream(DecodeKernel.values()).map(DecodeKernel::id).iterator();
        }
    }
}
