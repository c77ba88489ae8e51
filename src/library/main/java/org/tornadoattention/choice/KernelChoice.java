package org.tornadoattention.choice;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.UnsupportedOnDeviceException;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.tensor.DType;

/**
 * Which kernel runs a problem on a device, with which tile, and why.
 *
 * <p>The last rung of the ladder that takes the problem and the device is the fastest; where work-groups are simulated,
 * it is the first. {@link KernelSpec} says what a rung takes, and which are taken only where they are asked for.
 *
 * @param kernel the kernel
 * @param tiles none for kernels without tiles, one for a forward pass; for a backward pass that of dQ and that of dK
 *     and dV, or one where they are the same
 * @param reason a clause that says why, for people
 */
public record KernelChoice(AttentionKernel kernel, List<Tile> tiles, String reason) {

    private static final String ASKED_FOR = "asked for";

    /** A pass, as the ladder offers it. */
    @FunctionalInterface
    private interface Pass {

        /** The tiles of a kernel for this pass of a problem, empty if the device has no room for any. */
        Optional<List<Tile>> tiles(AttentionKernel kernel);
    }

    /** Keeps a copy of the tiles. */
    public KernelChoice {
        tiles = List.copyOf(tiles);
    }

    /**
     * Chooses the kernel of a forward pass.
     *
     * @param problem what is computed: shape, type, options
     * @param device where it is to run
     * @param wanted the kernel that the caller insists on, or empty for the best
     * @return the kernel, its tile and why
     * @throws IllegalArgumentException if the wanted kernel does not take the problem
     * @throws UnsupportedOnDeviceException if no kernel, or not the wanted one, runs on the device
     */
    public static KernelChoice choose(
            AttentionProblem problem, ComputeDevice device, Optional<AttentionKernel> wanted) {
        Pass forward = kernel -> tiles(kernel, problem, device);
        return wanted.map(kernel -> asked(kernel, problem, device, forward))
                .orElseGet(() -> best(problem, device, forward, Stream.of(AttentionKernel.values())));
    }

    /**
     * Chooses the kernel of a backward pass.
     *
     * @param problem what is computed: shape, type, options
     * @param device where it is to run
     * @param wanted the kernel of the forward pass that the caller insists on, whose own backward pass, or the one that
     *     serves in its place, is taken; or empty for the best
     * @return the kernel, its tile and why
     * @throws IllegalArgumentException if the wanted kernel does not take the problem, or has no backward pass
     * @throws UnsupportedOnDeviceException if no kernel, or not the wanted one, runs on the device
     */
    public static KernelChoice chooseBackward(
            AttentionProblem problem, ComputeDevice device, Optional<AttentionKernel> wanted) {
        return chooseBackward(problem, device, wanted, Backward.Own::tiles);
    }

    /**
     * Chooses the kernels of a backward pass of which dQ is wanted without dK and dV, or they without it.
     *
     * @param problem what is computed: shape, type, options
     * @param device where it is to run
     * @param wanted as {@link #chooseBackward} has it
     * @return the kernel, its tiles and why
     * @throws IllegalArgumentException if the wanted kernel does not take the problem, or has no backward pass
     * @throws UnsupportedOnDeviceException if no kernel, or not the wanted one, runs on the device
     */
    public static KernelChoice chooseBackwardApart(
            AttentionProblem problem, ComputeDevice device, Optional<AttentionKernel> wanted) {
        return chooseBackward(problem, device, wanted, Backward.Own::apart);
    }

    private static KernelChoice chooseBackward(
            AttentionProblem problem,
            ComputeDevice device,
            Optional<AttentionKernel> wanted,
            Function<Backward.Own, Backward.Tiles> tiles) {
        problem.functions().requireDerivative();
        Pass backward = kernel -> kernel.spec().backward() instanceof Backward.Own own
                ? tiles.apply(own).choose(problem, device)
                : Optional.empty();
        if (wanted.isEmpty()) {
            Stream<AttentionKernel> kernels = Stream.of(AttentionKernel.values())
                    .filter(kernel -> kernel.spec().backward() instanceof Backward.Own);
            return best(problem, device, backward, kernels);
        }
        AttentionKernel kernel = wanted.get();
        return switch (kernel.spec().backward()) {
            case Backward.None(String why) ->
                throw new IllegalArgumentException(
                        "The kernel %s has no backward pass: %s".formatted(kernel.id(), why));
            case Backward.By(AttentionKernel other) -> asked(other, problem, device, backward);
            case Backward.Own own -> {
                requireTaken(kernel, problem);
                boolean fits = kernel.supports(device) && backward.tiles(kernel).isPresent();
                yield asked(fits ? kernel : own.otherwise().orElse(kernel), problem, device, backward);
            }
        };
    }

    /** The tiles of a kernel's forward pass. */
    private static Optional<List<Tile>> tiles(AttentionKernel kernel, AttentionProblem problem, ComputeDevice device) {
        return kernel.spec()
                .tiling()
                .map(tiling -> tiling.choose(problem, device).map(List::of))
                .orElse(Optional.of(List.of()));
    }

    private static KernelChoice asked(
            AttentionKernel kernel, AttentionProblem problem, ComputeDevice device, Pass pass) {
        requireTaken(kernel, problem);
        if (!kernel.supports(device)) {
            throw new UnsupportedOnDeviceException(
                    device,
                    "what the kernel %s needs: %s"
                            .formatted(kernel.id(), kernel.spec().capability().lacking(device)),
                    "use the kernel %s, or another device or backend"
                            .formatted(device.isJvm() ? AttentionKernel.VECTOR.id() : everywhere(problem)));
        }
        return pass.tiles(kernel)
                .map(tiles -> new KernelChoice(kernel, tiles, ASKED_FOR))
                .orElseThrow(() -> tooSmall(kernel, problem, device));
    }

    private static KernelChoice best(
            AttentionProblem problem, ComputeDevice device, Pass pass, Stream<AttentionKernel> kernels) {
        List<AttentionKernel> rungs = kernels.filter(kernel -> !kernel.spec().onlyWhereAskedFor())
                .filter(kernel -> device.isJvm() == (kernel.spec().capability() == Capability.JVM))
                .filter(kernel -> objection(kernel, problem).isEmpty())
                .toList();
        if (device.isSimulator()) {
            AttentionKernel first = rungs.getFirst();
            return pass.tiles(first)
                    .map(tiles -> new KernelChoice(
                            first,
                            tiles,
                            "the fastest for %s where work-groups are simulated".formatted(problem.dtype())))
                    .orElseThrow(() -> tooSmall(first, problem, device));
        }
        for (AttentionKernel kernel : rungs.reversed()) {
            Optional<List<Tile>> tiles =
                    kernel.spec().capability().isKnownOn(device) ? pass.tiles(kernel) : Optional.empty();
            if (tiles.isPresent()) {
                return new KernelChoice(kernel, tiles.get(), reason(kernel, rungs.getLast(), problem, device));
            }
        }
        throw tooSmall(rungs.getFirst(), problem, device);
    }

    private static String reason(
            AttentionKernel kernel, AttentionKernel last, AttentionProblem problem, ComputeDevice device) {
        String fastest = "the fastest for %s on this device".formatted(problem.dtype());
        if (kernel == last) {
            return fastest;
        }
        Capability needed = last.spec().capability();
        return "%s, which has no %s"
                .formatted(
                        fastest,
                        needed.isKnownOn(device) ? "room for the tiles of " + last.id() : needed.lacking(device));
    }

    private static void requireTaken(AttentionKernel kernel, AttentionProblem problem) {
        objection(kernel, problem).ifPresent(objection -> {
            throw new IllegalArgumentException(
                    "The kernel %s takes %s: choose %s.".formatted(kernel.id(), objection, everywhere(problem)));
        });
    }

    /** What a kernel has against a problem, on whatever device, as what it takes instead. */
    private static Optional<String> objection(AttentionKernel kernel, AttentionProblem problem) {
        KernelSpec spec = kernel.spec();
        if (!spec.dtypes().containsAll(problem.types())) {
            return Optional.of(
                    "%s only, and the tensors are %s".formatted(names(spec.dtypes()), names(problem.types())));
        }
        AttentionShape shape = problem.shape();
        Optional<String> ofViews = problem.views().flatMap(views -> spec.objection(views, shape));
        if (ofViews.isPresent()) {
            return ofViews;
        }
        if (shape.widestDim() > spec.widestHead()) {
            return Optional.of(
                    "heads of up to %d elements, and these have %d".formatted(spec.widestHead(), shape.widestDim()));
        }
        if (shape.valueDim() != shape.headDim() && !spec.ownValueDim()) {
            return Optional.of("values of the head dimension of the keys, and these have %d and %d"
                    .formatted(shape.valueDim(), shape.headDim()));
        }
        if (problem.isPlain() || spec.functions()) {
            return problem.dropout() && !spec.dropout() ? Optional.of("no dropout") : Optional.empty();
        }
        if (!problem.functions().isEmpty()) {
            return Optional.of("no functions of a user's and no bias");
        }
        return Optional.of("no sinks");
    }

    private static String names(Set<DType> types) {
        return types.stream().sorted().map(Enum::name).collect(Collectors.joining(" and "));
    }

    /** The last rung that takes a problem wherever TornadoVM runs. */
    private static String everywhere(AttentionProblem problem) {
        return Arrays.stream(AttentionKernel.values())
                .filter(kernel -> kernel.spec().capability() == Capability.NONE)
                .filter(kernel -> objection(kernel, problem).isEmpty())
                .reduce((_, last) -> last)
                .map(AttentionKernel::id)
                .orElseThrow();
    }

    private static UnsupportedOnDeviceException tooSmall(
            AttentionKernel kernel, AttentionProblem problem, ComputeDevice device) {
        return new UnsupportedOnDeviceException(
                device,
                "local memory or group size for any tile of the kernel %s and head dimension %d (it has %,d bytes and %d work-items)"
                        .formatted(
                                kernel.id(),
                                problem.shape().widestDim(),
                                kernel.spec()
                                        .tiling()
                                        .map(tiling -> tiling.localMemory(device))
                                        .orElse(device.localMemoryBytes()),
                                device.maxGroupSize()),
                "use the kernel online with F32 tensors, or another device");
    }

    /**
     * This choice with a tile of the caller's.
     *
     * @param given a tile of this kernel
     * @param problem what is computed: shape, type, options
     * @param device where it is to run
     * @return this kernel with that tile
     * @throws IllegalArgumentException if the tile is not one of the kernel's
     * @throws UnsupportedOnDeviceException if the tile is too large for the device
     */
    public KernelChoice withTile(Tile given, AttentionProblem problem, ComputeDevice device) {
        if (given.kernel() != kernel) {
            throw new IllegalArgumentException(
                    "The tile %s is one of the kernel %s, not of %s: leave it out, or choose %s."
                            .formatted(
                                    given,
                                    given.kernel().id(),
                                    kernel.id(),
                                    given.kernel().id()));
        }
        int headDim = problem.shape().widestDim();
        if (!given.tiling().fits(given, problem, device)) {
            throw new UnsupportedOnDeviceException(
                    device,
                    "room for a tile %s of head dimension %d: it needs %,d bytes of local memory and %d work-items"
                            .formatted(
                                    given,
                                    headDim,
                                    given.tiling().localMemoryBytes(given, problem),
                                    given.groupSize(headDim)),
                    "use a smaller tile");
        }
        return new KernelChoice(kernel, List.of(given), "tile asked for");
    }

    /** {@return the tile, that of dQ for a backward pass, empty for kernels without tiles} */
    public Optional<Tile> tile() {
        return tiles.stream().findFirst();
    }

    /** {@return the tiles' names, such as {@code 64x32} or {@code 128x64+64x128}, empty for kernels without tiles} */
    public Optional<String> tileNames() {
        return tiles.stream().map(Tile::toString).reduce((one, other) -> one + "+" + other);
    }

    /** The kernel's name, with its tiles where it has any, such as {@code tiled (tile 64x32)}. */
    @Override
    public String toString() {
        return kernel.id() + tileNames().map(names -> " (tile " + names + ")").orElse("");
    }
}
