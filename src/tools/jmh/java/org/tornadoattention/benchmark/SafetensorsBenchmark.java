package org.tornadoattention.benchmark;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Safetensors;
import org.tornadoattention.tensor.SafetensorsWriter;
import org.tornadoattention.tensor.Tensor;

/** Writing and reading a file with one tensor of 2²² elements; it stays in the system's cache. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 2, time = 1)
@Measurement(iterations = 5, time = 1)
public class SafetensorsBenchmark {

    /** The tensor's type, in the file as in memory. */
    @Param({"F32", "F16"})
    public DType dtype;

    private Tensor tensor;
    private Path directory;
    private Path file;

    /** Makes the tensor and the file, and refuses to time a file that does not hold it. */
    @Setup(Level.Trial)
    public void prepare() throws IOException {
        tensor = Tensor.random(dtype, 1, 1, 8, 1 << 13, 64);
        directory = Files.createTempDirectory("safetensors");
        file = directory.resolve("tensor.safetensors");
        write();
        if (!Arrays.equals(read().toFloatArray(), tensor.toFloatArray())) {
            throw new IllegalStateException("The file does not hold what was written.");
        }
    }

    /** Removes the file. */
    @TearDown(Level.Trial)
    public void delete() throws IOException {
        Files.delete(file);
        Files.delete(directory);
    }

    /** Writes the file anew. */
    @Benchmark
    public Path write() throws IOException {
        new SafetensorsWriter().tensor("t", tensor).writeTo(file);
        return file;
    }

    /** Reads it into a new tensor. */
    @Benchmark
    public Tensor read() throws IOException {
        try (Safetensors safetensors = Safetensors.open(file)) {
            return safetensors.tensor("t");
        }
    }
}
