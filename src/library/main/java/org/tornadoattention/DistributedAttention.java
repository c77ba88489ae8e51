package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.tornadoattention.AttentionPart.Range;
import org.tornadoattention.GradientSums.Divided;
import org.tornadoattention.choice.AttentionProblem;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.plan.DividedPlan;
import org.tornadoattention.plan.DividedPlan.Cell;
import org.tornadoattention.plan.DividedPlan.Piece;
import org.tornadoattention.plan.DividedPlan.Role;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * Attention divided among several devices of one host, forward and backward.
 *
 * <pre>{@code
 * try (DistributedAttention attention = DistributedAttention.on(List.of(gpu0, gpu1))) {
 *     AttentionResult result = attention.forward(q, k, v, AttentionOptions.causal());
 *     Gradients gradients = attention.backward(result, dOut);
 * }
 * }</pre>
 *
 * <p>{@link #forward} and {@link #backward} take tensors of the host and return such; {@link #bring} leaves them on the
 * devices, for passes that are run many times, and for sequences of which no device holds the whole.
 *
 * <p>Batch entries and heads are divided first: nothing is exchanged then, and every bit is that of one device of this
 * kind, but for the gradients of a bias or of sinks that parts share, which are sums over parts. Devices that are left
 * over divide the keys; each computes all queries that see its keys, and the results are merged by their log-sum-exps,
 * always in the same order. Under a causal mask a device takes one piece of keys from the beginning and one from the
 * end, so that all have as much to do.
 *
 * <p>An instance may be shared by threads; calls run one after another.
 */
public final class DistributedAttention implements AutoCloseable {

    /** Keys of a piece are a multiple of this, as many as a kernel's tile has, where a piece has many tiles. */
    private static final int KEYS_TOGETHER = 128;

    /** Tiles of a piece from which on no piece is much larger than another, though all are multiples of a tile. */
    private static final int MANY_TILES = 8;

    /** What devices take parts of. */
    public enum Division {
        /** Batch entries and heads, and keys where there are more devices than these. */
        HEADS_FIRST,
        /**
         * Keys alone: each computes all queries that see its keys, and results are merged. For few queries and many
         * keys.
         */
        KEYS,
        /**
         * The sequence: each computes its queries, for which it gets the keys that they see. Nothing is merged. For
         * sequences too long for one, {@link #bring} leaves on each device its share of everything.
         */
        SEQUENCE
    }

    private final List<FlashAttention> attentions;
    private final Division division;
    private final ExecutorService threads;
    private boolean closed;

    private DistributedAttention(List<ComputeDevice> devices, Division division) {
        this.division = division;
        attentions = devices.stream().map(FlashAttention::on).toList();
        ThreadFactory names = Thread.ofPlatform()
                .daemon()
                .name("tornado-attention-device-", 0)
                .factory();
        threads = Executors.newFixedThreadPool(devices.size(), names);
    }

    /**
     * Attention on several devices, heads divided first.
     *
     * @param devices some of {@link Devices#all()}; one that is named twice gets two parts
     * @return attention without compiled plans yet; close it to free the devices' memory
     * @throws IllegalArgumentException if there are none, or something is null
     */
    public static DistributedAttention on(List<ComputeDevice> devices) {
        return on(devices, Division.HEADS_FIRST);
    }

    /**
     * Attention on several devices.
     *
     * @param devices some of {@link Devices#all()}; one that is named twice gets two parts
     * @param division what they take parts of
     * @return attention without compiled plans yet; close it to free the devices' memory
     * @throws IllegalArgumentException if there are none, or something is null
     */
    public static DistributedAttention on(List<ComputeDevice> devices, Division division) {
        required(devices, "devices", "take some of Devices.all()");
        required(division, "division");
        if (devices.isEmpty()) {
            throw new IllegalArgumentException("There are no devices: take some of Devices.all().");
        }
        devices.forEach(device -> required(device, "devices", "take some of Devices.all()"));
        return new DistributedAttention(List.copyOf(devices), division);
    }

    /**
     * What each device computes of a problem.
     *
     * @param shape the sizes
     * @param options what is computed
     * @return for each device its parts, none where there are fewer parts than devices
     * @throws IllegalArgumentException if something is null, or the options cannot be divided among so many devices
     */
    public List<List<AttentionPart>> parts(AttentionShape shape, AttentionOptions options) {
        required(shape, "shape", "take AttentionShape.of(q, k, v, options)");
        required(options, "options", "use AttentionOptions.defaults()");
        Grid grid = grid(shape);
        List<List<AttentionPart>> parts = new ArrayList<>();
        attentions.forEach(any -> parts.add(new ArrayList<>()));
        int device = 0;
        for (int b = 0; b < grid.batch; b++) {
            for (int h = 0; h < grid.heads; h++) {
                for (int piece = 0; piece < grid.keys; piece++) {
                    Range batch = piece(0, shape.batch(), b, grid.batch, 1);
                    Range kvHeads = piece(0, shape.kvHeads(), h, grid.heads, 1);
                    Stream<AttentionPart> own = division == Division.SEQUENCE
                            ? sequence(shape.seqQ(), piece, grid.keys, options.mask()).stream()
                                    .map(some -> AttentionPart.ofQueries(shape, options, batch, kvHeads, some))
                            : keys(shape, piece, grid.keys, options.mask()).stream()
                                    .map(some -> AttentionPart.of(shape, options, batch, kvHeads, some));
                    own.filter(part -> !part.isEmpty()).forEach(parts.get(device)::add);
                    device++;
                }
            }
        }
        return parts;
    }

    /** The same for devices that own what they compute, and all that has a row for it. */
    private List<Cell> cells(AttentionShape shape, Mask mask) {
        if (division == Division.KEYS && attentions.size() > 1) {
            throw new IllegalArgumentException(
                    "Division.KEYS merges results of all queries: take Division.SEQUENCE for tensors that stay on the devices.");
        }
        Grid grid = grid(shape);
        List<Cell> cells = new ArrayList<>();
        int device = 0;
        for (int b = 0; b < grid.batch; b++) {
            for (int h = 0; h < grid.heads; h++) {
                List<Piece> pieces = new ArrayList<>();
                for (int piece = 0; piece < grid.keys; piece++) {
                    List<Range> queries = sequence(shape.seqQ(), piece, grid.keys, mask);
                    List<Range> keys = sequence(shape.seqK(), piece, grid.keys, mask);
                    for (int i = 0; i < keys.size(); i++) {
                        pieces.add(new Piece(device, queries.get(i), keys.get(i)));
                    }
                    device++;
                }
                cells.add(new Cell(
                        piece(0, shape.batch(), b, grid.batch, 1),
                        piece(0, shape.kvHeads(), h, grid.heads, 1),
                        pieces));
            }
        }
        return cells;
    }

    /** Into how many pieces batch, heads and keys are divided. */
    private record Grid(int batch, int heads, int keys) {

        /** What the device with the most has to do, of a head's whole. */
        private double most(AttentionShape shape) {
            return (double) Math.ceilDiv(shape.batch(), batch) * Math.ceilDiv(shape.kvHeads(), heads) / keys;
        }
    }

    private Grid grid(AttentionShape shape) {
        int devices = attentions.size();
        if (division != Division.HEADS_FIRST) {
            return new Grid(1, 1, devices);
        }
        boolean enoughHeads = devices <= (long) shape.batch() * shape.kvHeads();
        Grid best = new Grid(1, 1, enoughHeads ? 1 : devices);
        for (int batch = Math.min(devices, Math.max(1, shape.batch())); batch >= 1; batch--) {
            for (int heads = Math.min(devices / batch, shape.kvHeads()); heads >= 1; heads--) {
                Grid grid = new Grid(batch, heads, enoughHeads ? 1 : devices / (batch * heads));
                boolean fewerPieces = grid.keys < best.keys && grid.most(shape) == best.most(shape);
                if (grid.most(shape) < best.most(shape) || fewerPieces) {
                    best = grid;
                }
            }
        }
        return best;
    }

    /**
     * The keys of one of several devices. Of the keys that all queries see under a causal mask each gets a piece; of
     * the others, which fewer and fewer see, one from the beginning and one from the end.
     */
    private static List<Range> keys(AttentionShape shape, int index, int count, Mask mask) {
        if (count == 1 || !isTriangle(mask)) {
            return List.of(piece(0, shape.seqK(), index, count, KEYS_TOGETHER));
        }
        int seenByAll = Math.max(0, shape.seqK() - shape.seqQ());
        return List.of(
                piece(0, seenByAll, index, count, KEYS_TOGETHER),
                piece(seenByAll, shape.seqK(), index, 2 * count, KEYS_TOGETHER),
                piece(seenByAll, shape.seqK(), 2 * count - 1 - index, 2 * count, KEYS_TOGETHER));
    }

    private static boolean isTriangle(Mask mask) {
        return mask.isCausal() && mask.left() == Mask.UNBOUNDED;
    }

    /** The rows of one of several devices: under a causal mask some from the beginning and some from the end. */
    private static List<Range> sequence(int rows, int index, int count, Mask mask) {
        return count == 1 || !isTriangle(mask)
                ? List.of(piece(0, rows, index, count, KEYS_TOGETHER))
                : List.of(
                        piece(0, rows, index, 2 * count, KEYS_TOGETHER),
                        piece(0, rows, 2 * count - 1 - index, 2 * count, KEYS_TOGETHER));
    }

    /**
     * One of several pieces of nearly equal length, whose lengths are multiples of {@code unit} where there are many.
     */
    private static Range piece(int from, int to, int index, int count, int unit) {
        int step = (to - from) / count >= MANY_TILES * unit ? unit : 1;
        long units = (to - from) / step;
        int first = from + (int) (units * index / count) * step;
        int end = from + (int) (units * (index + 1) / count) * step;
        return new Range(first, index == count - 1 ? to : end);
    }

    private Divided divided(List<List<AttentionPart>> parts, AttentionShape shape) {
        if (division == Division.SEQUENCE) {
            return attentions.size() == 1 ? Divided.NEITHER : Divided.QUERIES;
        }
        boolean keys = parts.stream()
                .flatMap(List::stream)
                .anyMatch(part -> part.keys().length() != shape.seqK());
        return keys ? Divided.KEYS : Divided.NEITHER;
    }

    /** A part and what its device made of it. */
    private record Done<T>(AttentionPart part, T result) {}

    /** Has all devices compute their parts; the order is that of the parts in the whole, whoever is done first. */
    private <T> List<Done<T>> compute(
            List<List<AttentionPart>> parts, BiFunction<FlashAttention, AttentionPart, T> body) {
        List<CompletableFuture<List<Done<T>>>> running = IntStream.range(0, parts.size())
                .mapToObj(device -> CompletableFuture.supplyAsync(
                        () -> parts.get(device).stream()
                                .map(part -> new Done<>(part, body.apply(attentions.get(device), part)))
                                .toList(),
                        threads))
                .toList();
        List<Done<T>> done = new ArrayList<>();
        Optional<Throwable> failure = Optional.empty();
        for (CompletableFuture<List<Done<T>>> device : running) {
            try {
                done.addAll(device.join());
            } catch (CompletionException e) {
                Throwable cause = Objects.requireNonNullElse(e.getCause(), e);
                failure.ifPresent(first -> first.addSuppressed(cause));
                failure = failure.or(() -> Optional.of(cause));
            }
        }
        failure.ifPresent(DistributedAttention::raise);
        done.sort(Comparator.comparingInt((Done<T> each) -> each.part.batch().from())
                .thenComparingInt(each -> each.part.kvHeads().from())
                .thenComparingInt(each -> each.part.queries().from())
                .thenComparingInt(each -> each.part.keys().from()));
        return done;
    }

    private static void raise(Throwable failure) {
        if (failure instanceof Error error) {
            throw error;
        }
        throw (RuntimeException) failure;
    }

    /**
     * {@link #forward(Tensor, Tensor, Tensor, AttentionOptions)} with the default options.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}
     * @param v values, shaped like the keys but for the last dimension
     * @return output of the type of q and log-sum-exp in F32, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if a device lacks what the kernel needs
     * @throws AttentionException if a device, its driver or the compiler fails
     */
    public AttentionResult forward(Tensor q, Tensor k, Tensor v) {
        return forward(q, k, v, AttentionOptions.defaults());
    }

    /**
     * Computes attention, each device a part.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the same type
     * @param v values, shaped like the keys but for the last dimension
     * @param options what is computed; {@link AttentionPart#of} says what cannot be divided
     * @return output of the type of q and log-sum-exp in F32, in new tensors
     * @throws IllegalArgumentException if shapes, types or options do not fit, or the options cannot be divided
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if a device lacks what the kernel needs
     * @throws AttentionException if a device, its driver or the compiler fails; all have ended then
     */
    public synchronized AttentionResult forward(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        requireOpen();
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        AttentionProblem problem = AttentionProblem.of(shape, q.dtype(), options);
        if (problem.isTrivial()) {
            return attentions.getFirst().forward(q, k, v, options);
        }
        List<List<AttentionPart>> parts = parts(shape, options);
        Divided divided = divided(parts, shape);
        List<Done<AttentionResult>> done = compute(
                parts,
                (attention, part) -> attention.forward(
                        part.queriesOf(q),
                        part.keysOf(k),
                        part.keysOf(v),
                        divided == Divided.QUERIES ? part.optionsOfQueries(options) : part.options(options)));
        AttentionResult.Inputs inputs = new AttentionResult.Inputs(q, k, v, options);
        if (divided == Divided.KEYS) {
            AttentionSums sums = new AttentionSums(shape);
            options.sinks().ifPresent(sums::addSinks);
            done.forEach(each -> sums.add(each.part, each.result));
            AttentionResult merged = sums.result(q.dtype());
            return AttentionResult.of(inputs, merged.output(), merged.logSumExp(), Optional.empty());
        }
        Tensor output = Tensor.allocate(q.dtype(), shape.outputShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        FlashAttention.fillWithoutKeys(logSumExp, options); // queries that see no key are in no part
        done.forEach(each -> {
            output.copyBlock(each.part.queryStart(output.rank()), each.result.output());
            logSumExp.copyBlock(each.part.queryStart(logSumExp.rank()), each.result.logSumExp());
        });
        return AttentionResult.of(inputs, output, logSumExp, Optional.empty());
    }

    /**
     * The gradients of a loss with respect to q, k and v, from its gradient with respect to the output.
     *
     * @param result what {@link #forward}, or {@link FlashAttention#forward}, gave, its tensors unchanged since
     * @param dOut gradient with respect to the output, of its shape and type
     * @return gradients of the type of q, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit, or the result is not one of forward
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if a device lacks what the kernel needs
     * @throws AttentionException if a device, its driver or the compiler fails; all have ended then
     */
    public Gradients backward(AttentionResult result, Tensor dOut) {
        return backward(result, dOut, Optional.empty());
    }

    /**
     * The gradients of a loss with respect to q, k and v. The same inputs on as many devices give the same bits.
     *
     * @param result what {@link #forward}, or {@link FlashAttention#forward}, gave, its tensors unchanged since
     * @param dOut gradient with respect to the output, of its shape and type
     * @param dLse gradient with respect to the log-sum-exp, F32 {@code [batch, heads, seqQ]}
     * @return gradients of the type of q, in new tensors
     * @throws IllegalArgumentException if shapes or types do not fit, or the result is not one of forward
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if a device lacks what the kernel needs
     * @throws AttentionException if a device, its driver or the compiler fails; all have ended then
     */
    public Gradients backward(AttentionResult result, Tensor dOut, Tensor dLse) {
        required(dLse, "dLse", "leave it out where the loss does not depend on the log-sum-exp");
        return backward(result, dOut, Optional.of(dLse));
    }

    private synchronized Gradients backward(AttentionResult result, Tensor dOut, Optional<Tensor> dLse) {
        requireOpen();
        required(result, "result", "give what forward returned");
        required(dOut, "dOut", "give one number for each element of the output " + result.output());
        FlashAttention first = attentions.getFirst();
        if (result.inputs().isEmpty()) {
            return first.backward(result, dOut); // which says why that is not one of forward
        }
        AttentionResult.Inputs inputs = result.inputs().get();
        AttentionOptions options = inputs.options();
        AttentionShape shape = AttentionShape.of(inputs.q(), inputs.k(), inputs.v(), options);
        Tensor noLse = dLse.orElseGet(() -> Tensor.allocate(DType.F32, shape.logSumExpShape()));
        requireLike("dOut", dOut, result.output());
        requireLike("dLse", noLse, result.logSumExp());
        if (AttentionProblem.of(shape, inputs.q().dtype(), options).isTrivial()) {
            return dLse.isPresent() ? first.backward(result, dOut, noLse) : first.backward(result, dOut);
        }
        List<List<AttentionPart>> parts = parts(shape, options);
        List<Done<Gradients>> done = compute(parts, (attention, part) -> {
            AttentionResult.Inputs own = new AttentionResult.Inputs(
                    part.queriesOf(inputs.q()),
                    part.keysOf(inputs.k()),
                    part.keysOf(inputs.v()),
                    part.options(options));
            AttentionResult forward = AttentionResult.of(
                    own, part.queriesOf(result.output()), part.queriesOf(result.logSumExp()), Optional.empty());
            Tensor ownOut = part.queriesOf(dOut);
            return dLse.isPresent()
                    ? attention.backward(forward, ownOut, part.queriesOf(noLse))
                    : attention.backward(forward, ownOut);
        });
        GradientSums sums = new GradientSums(shape, inputs, divided(parts, shape));
        done.forEach(each -> sums.add(each.part, each.result));
        return sums.gradients(result, dOut, noLse);
    }

    /**
     * Brings a problem to the devices: each gets its share of queries, keys and values, and keeps its share of the
     * results. Memory for some heads more lets a device see what it needs of the others' shares while it computes with
     * it. Where the devices reach each other, it comes from there; elsewhere the shares stay with the host, as
     * {@link DividedPass#isOnDevices} tells.
     *
     * <p>Where heads are divided first, devices that are left over divide the sequence, and not the keys as in
     * {@link #forward}.
     *
     * @param q queries {@code [batch, heads, seqQ, headDim]}
     * @param k keys {@code [batch, kvHeads, seqK, headDim]}, of the same type
     * @param v values, shaped like the keys but for the last dimension
     * @param options what is computed; {@link AttentionPart#of} says what cannot be divided, and where the sequence is,
     *     neither can key lengths, a bias and sinks
     * @return the forward pass, to be run; close it to free the devices' memory
     * @throws IllegalArgumentException if shapes, types or options do not fit or cannot be divided, there is nothing to
     *     compute, keys alone are divided, or a device runs no task graphs
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if a device lacks what the kernel needs
     * @throws AttentionException if a device, its driver or the compiler fails
     */
    public synchronized DividedPass<AttentionResult> bring(Tensor q, Tensor k, Tensor v, AttentionOptions options) {
        requireOpen();
        AttentionShape shape = AttentionShape.of(q, k, v, options);
        requireTaskGraphs(AttentionProblem.of(shape, q.dtype(), options));
        DividedPlan plan = DividedPlan.forward(shape, options, devices(), cells(shape, options.mask()), q, k, v);
        AttentionResult.Inputs inputs = new AttentionResult.Inputs(q, k, v, options);
        return new DividedPass<>(
                plan,
                devices().size(),
                () -> AttentionResult.of(
                        inputs,
                        plan.result(Role.OUTPUT).copy(),
                        plan.result(Role.LOG_SUM_EXP).copy(),
                        Optional.empty()));
    }

    /**
     * Likewise the backward pass of a result.
     *
     * @param result what {@link #forward}, {@link FlashAttention#forward} or a pass gave
     * @param dOut gradient with respect to the output, of its shape and type
     * @return the backward pass, to be run; close it to free the devices' memory
     * @throws IllegalArgumentException as {@link #bring(Tensor, Tensor, Tensor, AttentionOptions)}, also if there are a
     *     bias or sinks
     * @throws IllegalStateException if this instance is closed
     * @throws UnsupportedOnDeviceException if a device lacks what the kernel needs
     * @throws AttentionException if a device, its driver or the compiler fails
     */
    public synchronized DividedPass<Gradients> bring(AttentionResult result, Tensor dOut) {
        requireOpen();
        required(result, "result", "give what forward returned");
        required(dOut, "dOut", "give one number for each element of the output " + result.output());
        AttentionResult.Inputs inputs = result.inputs()
                .orElseThrow(() -> new IllegalArgumentException(
                        "The result (%s) has no backward pass: give what forward returned.".formatted(result)));
        AttentionOptions options = inputs.options();
        AttentionShape shape = AttentionShape.of(inputs.q(), inputs.k(), inputs.v(), options);
        requireLike("dOut", dOut, result.output());
        requireTaskGraphs(AttentionProblem.of(shape, inputs.q().dtype(), options));
        if (options.bias().isPresent() || options.sinks().isPresent()) {
            throw new IllegalArgumentException(
                    "The options have a bias or sinks, whose gradients are sums over parts: use backward.");
        }
        DType dtype = inputs.q().dtype();
        BackwardTensors all = BackwardTensors.builder()
                .q(inputs.q())
                .k(inputs.k())
                .v(inputs.v())
                .output(result.output())
                .logSumExp(result.logSumExp())
                .dOut(dOut)
                .dQ(Tensor.allocate(dtype, shape.queryShape()))
                .dK(Tensor.allocate(dtype, shape.keyShape()))
                .dV(Tensor.allocate(dtype, shape.valueShape()))
                .build();
        DividedPlan plan = DividedPlan.backward(shape, options, devices(), cells(shape, options.mask()), all);
        return new DividedPass<>(
                plan,
                devices().size(),
                () -> Gradients.of(
                        plan.result(Role.QUERY_GRADIENT).copy(),
                        plan.result(Role.KEY_GRADIENT).copy(),
                        plan.result(Role.VALUE_GRADIENT).copy()));
    }

    private void requireTaskGraphs(AttentionProblem problem) {
        if (problem.isTrivial()) {
            throw new IllegalArgumentException("There is no query or no key in %s: nothing is to be brought to devices."
                    .formatted(problem.shape()));
        }
        devices().stream().filter(ComputeDevice::isJvm).findFirst().ifPresent(device -> {
            throw new IllegalArgumentException(
                    "%s runs no task graphs: use forward and backward, or other devices.".formatted(device));
        });
    }

    private static void requireLike(String name, Tensor tensor, Tensor other) {
        if (tensor.dtype() != other.dtype() || !Arrays.equals(tensor.shape(), other.shape())) {
            throw new IllegalArgumentException(
                    "%s is %s: it must be like what forward gave, %s.".formatted(name, tensor, other));
        }
    }

    /**
     * The devices, in the order of {@link #parts}.
     *
     * @return those that were given
     */
    public List<ComputeDevice> devices() {
        return attentions.stream().map(FlashAttention::device).toList();
    }

    private void requireOpen() {
        if (closed) {
            throw new IllegalStateException("This DistributedAttention is closed: create a new one.");
        }
    }

    /** Frees all memory on the devices. Closing twice does nothing. */
    @Override
    public synchronized void close() {
        closed = true;
        threads.shutdown();
        attentions.forEach(FlashAttention::close);
    }

    /** The devices and how they divide a problem. */
    @Override
    public String toString() {
        return "DistributedAttention on %s, %s".formatted(devices(), division);
    }
}
