package org.tornadoattention.bench;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import com.fasterxml.jackson.databind.annotation.JsonSerialize;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.util.StdConverter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.Capability;
import org.tornadoattention.file.UnusableFileException;
import org.tornadoattention.tensor.DType;

/**
 * Results of one run and where they come from: what {@code bench --json} prints, and {@code bench/peers.py} too.
 *
 * @param format {@link #FORMAT}
 * @param preset the preset that was run, or {@code by hand}
 * @param complete whether the run came to its end
 * @param environment where it ran
 * @param ceilings what the device does at most; null where that was not measured
 * @param flushedBytes bytes of the copy that emptied the caches before each execution, 0 for none
 * @param results one for each problem and kernel
 * @param compared what {@code --compare} set beside them; null where nothing was
 */
public record BenchFile(
        String format,
        String preset,
        boolean complete,
        Environment environment,
        @Nullable Ceilings ceilings,
        long flushedBytes,
        List<BenchResult> results,
        @Nullable List<ComparedResult> compared) {

    /** Checks that what every file has is there. */
    public BenchFile {
        Objects.requireNonNull(environment, "'environment' is missing");
        Objects.requireNonNull(results, "'results' is missing");
    }

    /** Name and version of the format. */
    public static final String FORMAT = "tornado-attention-bench/1";

    /** Kernels on plain arithmetic units. */
    public static final List<AttentionKernel> PORTABLE = Arrays.stream(AttentionKernel.values())
            .filter(kernel -> kernel.spec().capability() == Capability.NONE)
            .toList();

    static final JsonMapper JSON = JsonMapper.builder()
            .defaultPropertyInclusion(
                    JsonInclude.Value.construct(JsonInclude.Include.NON_NULL, JsonInclude.Include.NON_NULL))
            .disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .addMixIn(AttentionShape.class, ConvertedShape.class)
            .build();

    /** Files name the head dimension of values only where it is another than that of queries and keys. */
    private record ShapeInFiles(
            int batch,
            int heads,
            int kvHeads,
            int seqQ,
            int seqK,
            int headDim,
            @Nullable Integer valueDim) {}

    private static final class ToFile extends StdConverter<AttentionShape, ShapeInFiles> {

        @Override
        public ShapeInFiles convert(AttentionShape shape) {
            return new ShapeInFiles(
                    shape.batch(),
                    shape.heads(),
                    shape.kvHeads(),
                    shape.seqQ(),
                    shape.seqK(),
                    shape.headDim(),
                    shape.valueDim() == shape.headDim() ? null : shape.valueDim());
        }
    }

    private static final class FromFile extends StdConverter<ShapeInFiles, AttentionShape> {

        @Override
        public AttentionShape convert(ShapeInFiles shape) {
            return new AttentionShape(
                    shape.batch,
                    shape.heads,
                    shape.kvHeads,
                    shape.seqQ,
                    shape.seqK,
                    shape.headDim,
                    Objects.requireNonNullElse(shape.valueDim, shape.headDim));
        }
    }

    @JsonSerialize(converter = ToFile.class)
    @JsonDeserialize(converter = FromFile.class)
    private abstract static class ConvertedShape {}

    /**
     * A file of this format, its results set beside standard attention and the ceilings, which are raised to what the
     * results have reached.
     */
    public static BenchFile of(
            String preset,
            boolean complete,
            Environment environment,
            @Nullable Ceilings ceilings,
            long flushedBytes,
            List<BenchResult> results) {
        Ceilings raised = raised(ceilings, results);
        return new BenchFile(
                FORMAT,
                preset,
                complete,
                environment,
                raised,
                flushedBytes,
                results.stream()
                        .map(result -> result.beside(
                                speedUp(result, results).orElse(null),
                                share(result, raised).orElse(null)))
                        .toList(),
                null);
    }

    private static @Nullable Ceilings raised(@Nullable Ceilings ceilings, List<BenchResult> results) {
        @Nullable Ceilings raised = ceilings;
        for (BenchResult result : results) {
            if (raised != null && result.timing() != null && result.good()) {
                raised = raised.orReached(
                        result.requireTiming().kernelMilliseconds() / 1e3,
                        result.measured().flops(),
                        leastBytes(result.measured()),
                        onTensorCores(result),
                        isFp8(result));
            }
        }
        return raised;
    }

    /** These results with those of others on the same problems beside them. */
    public BenchFile beside(List<BenchFile> others) {
        return new BenchFile(
                format,
                preset,
                complete,
                environment,
                ceilings,
                flushedBytes,
                results,
                others.isEmpty()
                        ? null
                        : others.stream()
                                .flatMap(other -> ComparedResult.of(this, other).stream())
                                .toList());
    }

    /**
     * One file of several that were measured on the same device, with speed-ups over the standard attention of any of
     * them.
     *
     * @throws IllegalArgumentException if they were not
     */
    public static BenchFile joined(List<BenchFile> parts) {
        BenchFile first = parts.getFirst();
        List<BenchResult> results = new ArrayList<>();
        Set<String> presets = new LinkedHashSet<>();
        Set<String> commits = new LinkedHashSet<>();
        for (BenchFile part : parts) {
            if (!part.environment.describe().equals(first.environment.describe())) {
                throw new IllegalArgumentException("Results of %s and of %s are not one run: join those of one device."
                        .formatted(first.environment.describe(), part.environment.describe()));
            }
            results.addAll(part.results);
            presets.add(part.preset);
            Optional.ofNullable(part.environment.commit()).ifPresent(commits::add);
        }
        return of(
                String.join(", ", presets),
                parts.stream().allMatch(BenchFile::complete),
                first.environment.at(commits.isEmpty() ? null : String.join(", ", commits)),
                first.ceilings,
                first.flushedBytes,
                results);
    }

    /** How many times as fast as standard attention on the same problem, in the same type or else in F32. */
    private static Optional<Double> speedUp(BenchResult result, List<BenchResult> results) {
        if (result.timing() == null) {
            return Optional.empty();
        }
        return standard(result.measured(), results)
                .or(() -> standard(result.measured().as(DType.F32), results))
                .map(standard -> standard.requireTiming().kernelMilliseconds()
                        / result.requireTiming().kernelMilliseconds());
    }

    private static Optional<BenchResult> standard(BenchCase measured, List<BenchResult> results) {
        return results.stream()
                .filter(other -> other.timing() != null
                        && other.isStandard()
                        && other.measured().equals(measured))
                .findFirst();
    }

    private static Optional<Double> share(BenchResult result, @Nullable Ceilings ceilings) {
        if (result.timing() == null || !result.good() || ceilings == null) {
            return Optional.empty();
        }
        BenchCase measured = result.measured();
        double bound = ceilings.bound(measured.flops(), leastBytes(measured), onTensorCores(result), isFp8(result));
        return Optional.of(bound * 1e3 / result.requireTiming().kernelMilliseconds());
    }

    /** Bytes that any kernel moves: inputs read once, outputs written once. */
    public static double leastBytes(BenchCase measured) {
        AttentionShape shape = measured.shape();
        double dims = shape.headDim() + shape.valueDim();
        double queries = shape.queryRows() * dims; // elements of q and o
        double keys = (double) shape.batch() * shape.kvHeads() * shape.seqK() * dims; // of k and v
        double rows = (double) Float.BYTES * shape.queryRows();
        double bytes = measured.dtype().byteSize();
        return switch (measured.pass()) {
            case FORWARD -> (queries + keys) * bytes + rows; // q, k, v in; o and L out
            case FORWARD_BACKWARD -> 3 * (queries + keys) * bytes + 2 * rows; // one after the other
            case BACKWARD -> 2 * (queries + keys) * bytes + rows; // q, k, v, o, dO, L in; dQ, dK, dV out
        };
    }

    private static boolean isFp8(BenchResult result) {
        return result.provider().equals(BenchResult.OURS)
                && Arrays.stream(AttentionKernel.values())
                        .anyMatch(kernel -> kernel.isFp8() && kernel.id().equals(result.kernel()));
    }

    /** Kernels of ours but for the portable ones, and all 16-bit kernels of others. */
    private static boolean onTensorCores(BenchResult result) {
        return onTensorCores(
                result.provider(), result.kernel(), result.measured().dtype());
    }

    /** Whether a kernel, in its provider's words, computes a type's products on tensor cores, where there are any. */
    public static boolean onTensorCores(String provider, String kernel, DType dtype) {
        return provider.equals(BenchResult.OURS)
                ? PORTABLE.stream().noneMatch(portable -> kernel.equals(portable.id()))
                : dtype != DType.F32;
    }

    /** As indented JSON; what is null is left out. */
    public String toJson() {
        try {
            return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(this);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException(e);
        }
    }

    /**
     * Reads a file.
     *
     * @throws UnusableFileException if there is none, or it is no such file
     * @throws IOException if reading fails
     */
    public static BenchFile read(Path path) throws IOException {
        return JsonFile.read(path, FORMAT, "./attention bench -o FILE.json", BenchFile.class);
    }
}
