package org.tornadoattention.bench;

import java.util.ArrayList;
import java.util.List;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.bench.BenchResult.Status;
import org.tornadoattention.tensor.DType;

/** Files for tests: as bench and peers.py write them, with made-up times. */
public final class BenchFiles {

    private BenchFiles() {}

    /** Three kernels, two types, both masks, three lengths, a sweep of tiles, a refusal. */
    public static BenchFile ours() {
        List<BenchResult> results = new ArrayList<>();
        for (boolean causal : new boolean[] {false, true}) {
            for (int length : new int[] {512, 1024, 2048}) {
                results.add(measured(problem(DType.F32, length, causal), "tornado-attention", "standard", null, 1.0));
                results.add(measured(problem(DType.F32, length, causal), "tornado-attention", "online", null, 7.5));
                results.add(measured(problem(DType.F32, length, causal), "tornado-attention", "tiled", "64x32", 27));
                results.add(measured(problem(DType.F16, length, causal), "tornado-attention", "tiled", "64x32", 26));
            }
        }
        for (String tile : new String[] {"8x8", "16x16", "32x32"}) {
            results.add(
                    measured(problem(DType.F32, 512, false), "tornado-attention", "tiled", tile, 2 + tile.length()));
        }
        results.add(BenchResult.without(
                problem(DType.F32, 16384, false),
                "standard",
                null,
                Status.UNSUPPORTED,
                "cuda:0 <GPU> lacks room for S & P: use \"online\"."));
        return BenchFile.of(
                "paper",
                true,
                new Environment(
                        "NVIDIA H200",
                        "cuda",
                        "580.159.04",
                        "TornadoVM 5.2.0-jdk25",
                        null,
                        "OpenJDK 25",
                        "Linux, amd64",
                        16,
                        "0123456789ab",
                        "2026-11-22T10:00:00Z"),
                new Ceilings(4e12, 50e12, 600e12),
                1 << 20,
                results);
    }

    /** Two of its backends on the same problems. */
    public static BenchFile pytorch() {
        List<BenchResult> results = new ArrayList<>();
        for (int length : new int[] {512, 1024, 2048}) {
            results.add(measured(problem(DType.F32, length, false), "pytorch", "standard", null, 18));
            results.add(measured(problem(DType.F32, length, false), "pytorch", "mem-efficient", null, 35));
            results.add(measured(problem(DType.F16, length, false), "pytorch", "flash", null, 300));
        }
        return BenchFile.of(
                "paper",
                true,
                new Environment(
                        "NVIDIA H200",
                        "cuda",
                        "580.159.04",
                        "PyTorch 2.11.0",
                        null,
                        null,
                        "Linux",
                        16,
                        null,
                        "2026-11-22T11:00:00Z"),
                new Ceilings(4e12, 50e12, 700e12),
                1 << 20,
                results);
    }

    static BenchCase problem(DType dtype, int length, boolean causal) {
        return new BenchCase(
                Direction.FORWARD, dtype, new AttentionShape(16384 / length, 32, 32, length, length, 64), causal);
    }

    private static BenchResult measured(
            BenchCase problem, String provider, String kernel, String tile, double teraflops) {
        double milliseconds = problem.flops() / teraflops / 1e9;
        return new BenchResult(
                problem,
                provider,
                kernel,
                tile,
                Status.MEASURED,
                null,
                new Timing(milliseconds, 0.01, milliseconds + 0.05, 0.02, 15, 0.03, kernel.equals("online"), teraflops),
                new Memory(
                        1L << 29,
                        kernel.equals("standard") ? 8L * problem.shape().scoreElements() : 1L << 21,
                        null,
                        1L << 30),
                new Accuracy(3e-6, 1e-5, 2e-7, true),
                null,
                null);
    }

    static BenchResult find(List<BenchResult> results, String kernel, DType dtype, int length) {
        return results.stream()
                .filter(result -> result.kernel().equals(kernel)
                        && result.measured().dtype() == dtype
                        && result.measured().shape().seqK() == length
                        && result.timing() != null)
                .findFirst()
                .orElseThrow();
    }
}
