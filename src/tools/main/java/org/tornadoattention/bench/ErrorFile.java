package org.tornadoattention.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.file.UnusableFileException;
import org.tornadoattention.reference.Comparison;
import org.tornadoattention.tensor.DType;

/**
 * Errors of one run and where they come from: what {@code accuracy -o} writes, and {@code bench/peers.py --inputs} too.
 *
 * @param format {@link #FORMAT}
 * @param environment where it ran
 * @param results one for each problem and kernel
 */
public record ErrorFile(String format, Environment environment, List<Result> results) {

    /** Checks that what every file has is there. */
    public ErrorFile {
        Objects.requireNonNull(environment, "'environment' is missing");
        Objects.requireNonNull(results, "'results' is missing");
    }

    /** Name and version of the format. */
    public static final String FORMAT = "tornado-attention-errors/1";

    /** The kernel's name of standard attention with P rounded to the type, by the formula and not by a fast kernel. */
    public static final String FORMULA = "formula";

    /** Likewise with all operands rounded to 8 bits, one scale to a tensor. */
    public static final String FORMULA_FP8 = "formula-fp8";

    /**
     * Inputs, without a mask.
     *
     * @param inputs their distribution, {@link ErrorInputs#id}
     * @param dtype type of q, k, v and the output
     * @param shape their shape
     */
    public record Problem(String inputs, DType dtype, AttentionShape shape) {

        /** Such as {@code outliers F16 2x8x2048x64}. */
        @Override
        public String toString() {
            return "%s %s %dx%dx%dx%d"
                    .formatted(inputs, dtype, shape.batch(), shape.heads(), shape.seqQ(), shape.headDim());
        }
    }

    /**
     * Errors of an output against float64.
     *
     * @param problem the inputs
     * @param provider {@link BenchResult#OURS}, {@code pytorch}, …
     * @param kernel the kernel in its provider's words, or {@link #FORMULA}
     * @param rmse root of the mean squared error
     * @param maxError the largest absolute error
     * @param relativeError root of the summed squared errors over that of the reference's squares
     */
    public record Result(
            Problem problem, String provider, String kernel, double rmse, double maxError, double relativeError) {

        /** A kernel of ours; an output that is not finite counts as the largest error that JSON can hold. */
        public static Result ours(Problem problem, String kernel, Comparison output) {
            return new Result(
                    problem,
                    BenchResult.OURS,
                    kernel,
                    Math.min(output.rmse(), Double.MAX_VALUE),
                    Math.min(output.maxError(), Double.MAX_VALUE),
                    Math.min(output.relativeError(), Double.MAX_VALUE));
        }
    }

    /** A file of this format. */
    public static ErrorFile of(Environment environment, List<Result> results) {
        return new ErrorFile(FORMAT, environment, results);
    }

    /** As indented JSON. */
    public String toJson() {
        try {
            return BenchFile.JSON.writerWithDefaultPrettyPrinter().writeValueAsString(this) + "\n";
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
    public static ErrorFile read(Path path) throws IOException {
        return JsonFile.read(path, FORMAT, "./attention accuracy -o FILE.json", ErrorFile.class);
    }
}
