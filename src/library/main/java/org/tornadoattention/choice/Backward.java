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
         * That of dQ and that of dK and dV, one where both are the same, none for kernels without tiles; empty where
         * the device has no room for any.
         *
         * @param problem what is computed: shape, type, options
         * @param device the device that it must fit
         * @return tiles, in the order of the launches that take them
         */
        Optional<List<Tile>> choose(AttentionProblem problem, ComputeDevice device);
    }

    /** Describes the launches of a backward pass. */
    @FunctionalInterface
    interface Launches {

        /**
         * {@return those that compute the three gradients, in order}
         *
         * @param work the problem, its tiles and the device
         */
        List<Launch> of(Work work);
    }

    /** Sizes the memory that the launches of a backward pass hand each other. */
    @FunctionalInterface
    interface Memory {

        /**
         * {@return that of a problem}
         *
         * @param problem what is computed: shape, type, options
         */
        List<Scratch> of(AttentionProblem problem);
    }

    /**
     * By kernels of its own.
     *
     * @param tiles of them
     * @param apart tiles of launches that compute dQ apart from dK and dV, so that one may be had without the other
     * @param otherwise the kernel whose backward pass serves where no tile fits, or empty
     * @param scratch the memory that the launches hand each other
     * @param launches of them
     */
    record Own(Tiles tiles, Tiles apart, Optional<AttentionKernel> otherwise, Memory scratch, Launches launches)
            implements Backward {

        /** Kernels that compute dQ apart always. */
        Own(Tiles tiles, Optional<AttentionKernel> otherwise, Memory scratch, Launches launches) {
            this(tiles, tiles, otherwise, scratch, launches);
        }

        /** Kernels without scratch memory. */
        Own(Tiles tiles, Optional<AttentionKernel> otherwise, Launches launches) {
            this(tiles, otherwise, _ -> List.of(), launches);
        }

        /** Kernels without tiles. */
        static Own untiled(Memory scratch, Launches launches) {
            return new Own((_, _) -> Optional.of(List.of()), Optional.empty(), scratch, launches);
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
