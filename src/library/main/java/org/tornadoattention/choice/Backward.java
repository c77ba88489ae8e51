package org.tornadoattention.choice;

import java.util.List;
import java.util.Optional;
import org.tornadoattention.device.ComputeDevice;

/** How a kernel's results are differentiated. */
public sealed interface Backward {

    /** Chooses the tiles of a backward pass. */
    @FunctionalInterface
    interface Tiles {

        /**
         * That of dQ and that of dK and dV, one where both are the same, none for kernels without tiles; empty where the
         * device has no room for any.
         */
        Optional<List<Tile>> choose(AttentionProblem problem, ComputeDevice device);
    }

    /**
     * By kernels of its own.
     *
     * @param tiles of them
     * @param otherwise the kernel whose backward pass serves where no tile fits, or empty
     */
    record Own(Tiles tiles, Optional<AttentionKernel> otherwise) implements Backward {

        /** Kernels without tiles. */
        static Own untiled() {
            return new Own((_, _) -> Optional.of(List.of()), Optional.empty());
        }
    }

    /**
     * By those of another kernel.
     *
     * @param kernel the other one
     */
    record By(AttentionKernel kernel) implements Backward {}

    /**
     * Not at all.
     *
     * @param why in a sentence, with what to do
     */
    record None(String why) implements Backward {}
}
