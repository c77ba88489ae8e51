package org.tornadoattention.devicetext;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.BackwardTensors;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.Mask;
import org.tornadoattention.cache.CacheOptions;
import org.tornadoattention.cache.KvCache;
import org.tornadoattention.cache.PagedKvCache;
import org.tornadoattention.cache.RaggedAttention;
import org.tornadoattention.cache.RotaryEmbedding;
import org.tornadoattention.choice.AttentionKernel;
import org.tornadoattention.choice.DecodeKernel;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;
import org.tornadoattention.tensor.CacheType;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;
import uk.ac.manchester.tornado.api.GridScheduler;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.enums.DataTransferMode;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The device text of every kernel of a backend, for a few problems that together use all options. TornadoVM prints what
 * it generates on standard output, so a JVM of its own does it. Whether the kernels then run is another matter: a
 * device that only assembles is enough.
 */
public final class DeviceTexts {

    private static final String BEGIN = "@@BEGIN ";
    private static final Pattern HEAD = Pattern.compile(
            "(?:extern \"C\" __global__ void|__kernel void) (\\w+)\\s*\\(.*|\\.visible \\.entry (\\w+?)_.*");

    private static final List<DecodeKernel> DECODING = List.of(DecodeKernel.SPLIT_KEY, DecodeKernel.WARP_SPLIT_KEY);

    private DeviceTexts() {}

    /**
     * The texts by problem and kernel, such as {@code forward tiled F16 64 TileShape[blockQ=64, blockK=32] 1}.
     *
     * @param kernels ids of those asked for
     */
    static Map<String, String> of(Backend backend, Set<String> kernels) {
        List<String> command = new ArrayList<>();
        command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
        command.addAll(ManagementFactory.getRuntimeMXBean().getInputArguments());
        command.add("-Dtornado.printKernel=true");
        command.addAll(List.of("-cp", System.getProperty("java.class.path")));
        command.addAll(List.of(DeviceTexts.class.getName(), backend.name()));
        command.addAll(kernels);
        try {
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.INHERIT)
                    .start();
            Map<String, String> texts = new LinkedHashMap<>();
            try (BufferedReader output =
                    new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
                collect(output.lines(), texts);
            }
            int exit = process.waitFor();
            if (exit != 0) {
                throw new IllegalStateException("The JVM that prints the texts ended with " + exit);
            }
            return texts;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("Interrupted", e);
        }
    }

    static void collect(Stream<String> lines, Map<String, String> texts) {
        String[] problem = {""};
        List<String> text = new ArrayList<>();
        String[] name = {""};
        lines.forEach(line -> {
            Matcher head = HEAD.matcher(line);
            if (line.startsWith(BEGIN) || head.matches()) {
                keep(texts, name[0], text);
                text.clear();
            }
            if (line.startsWith(BEGIN)) {
                problem[0] = line.substring(BEGIN.length());
                name[0] = "";
            } else if (head.matches()) {
                String kernel = head.group(1) != null ? head.group(1) : kernelOf(line);
                int number = 1;
                while (texts.containsKey(problem[0] + " " + kernel + " " + number)) {
                    number++;
                }
                name[0] = problem[0] + " " + kernel + " " + number;
            }
            if (!name[0].isEmpty()) {
                text.add(line);
            }
        });
        keep(texts, name[0], text);
    }

    /** The method in PTX's name for it: graph, task, method, types of arguments. */
    private static String kernelOf(String line) {
        return line.replaceFirst("^\\.visible \\.entry \\w+?_\\w+?_(\\w+?)_(?:uk|arrays)_.*$", "$1");
    }

    private static void keep(Map<String, String> texts, String name, List<String> text) {
        if (!name.isEmpty()) {
            int end = text.size();
            while (end > 0 && !text.get(end - 1).startsWith("}")) {
                end--;
            }
            texts.put(name, String.join("\n", text.subList(0, end)));
        }
    }

    /** The ids of all kernels whose texts are made. */
    static Set<String> kernels() {
        return Stream.concat(
                        Stream.of(AttentionKernel.values()).map(AttentionKernel::id),
                        DECODING.stream().map(DecodeKernel::id))
                .collect(Collectors.toCollection(TreeSet::new));
    }

    /** Prints the texts of the backend that is named first, of the kernels that are named behind it. */
    public static void main(String[] arguments) {
        List<String> kernels = List.of(arguments).subList(1, arguments.length);
        ComputeDevice device = Devices.all().stream()
                .filter(candidate -> candidate.backend().name().equals(arguments[0]))
                .findFirst()
                .orElseThrow();
        for (DType dtype : List.of(DType.F32, DType.F16, DType.BF16)) {
            for (AttentionKernel kernel : AttentionKernel.values()) {
                if (!kernels.contains(kernel.id())) {
                    continue;
                }
                attention(device, kernel, dtype, new AttentionShape(1, 4, 2, 70, 130, 64), AttentionOptions.causal());
                attention(device, kernel, dtype, new AttentionShape(1, 4, 2, 70, 130, 128), all(kernel, 0));
                attention(device, kernel, dtype, new AttentionShape(1, 4, 2, 70, 130, 59), all(kernel, 50));
            }
            for (DecodeKernel kernel : DECODING) {
                if (!kernels.contains(kernel.id())) {
                    continue;
                }
                decoding(device, kernel, dtype, 64, RotaryEmbedding.Style.values()[0]);
                decoding(device, kernel, dtype, 59, RotaryEmbedding.Style.values()[1]);
            }
        }
        System.exit(0);
    }

    private static AttentionOptions all(AttentionKernel kernel, int left) {
        AttentionOptions options = AttentionOptions.causal()
                .withMask(left == 0 ? Mask.causal() : Mask.window(left, 20))
                .withAlibi(AttentionOptions.alibiSlopes(4))
                .withSoftcap(20)
                .withKeyLengths(100);
        boolean hasDropout = switch (kernel) {
            case TENSOR_CORE, WARP_TF32, WARP_GROUP_F32, WARP_GROUP_FP8 -> false;
            default -> true;
        };
        return hasDropout ? options.withDropout(0.1, 5) : options;
    }

    private static void attention(
            ComputeDevice device, AttentionKernel kernel, DType dtype, AttentionShape shape, AttentionOptions options) {
        Tensor q = Tensor.random(dtype, 1, shape.queryShape());
        Tensor k = Tensor.random(dtype, 2, shape.keyShape());
        Tensor v = Tensor.random(dtype, 3, shape.keyShape());
        Tensor output = Tensor.allocate(dtype, shape.queryShape());
        Tensor logSumExp = Tensor.allocate(DType.F32, shape.logSumExpShape());
        Tensor dOut = Tensor.random(dtype, 4, shape.queryShape());
        Tensor dLse = Tensor.random(DType.F32, 5, shape.logSumExpShape());
        Tensor dQ = Tensor.allocate(dtype, shape.queryShape());
        Tensor dK = Tensor.allocate(dtype, shape.keyShape());
        Tensor dV = Tensor.allocate(dtype, shape.keyShape());
        BackwardTensors tensors = BackwardTensors.builder()
                .q(q)
                .k(k)
                .v(v)
                .output(output)
                .logSumExp(logSumExp)
                .dOut(dOut)
                .dLse(dLse)
                .dQ(dQ)
                .dK(dK)
                .dV(dV)
                .build();
        try (FlashAttention attention = FlashAttention.on(device, kernel)) {
            print("forward " + name(kernel.id(), dtype, shape.headDim()), () -> {
                TaskGraph graph = new TaskGraph("g");
                GridScheduler grids = new GridScheduler();
                graph.transferToDevice(DataTransferMode.FIRST_EXECUTION, q.array(), k.array(), v.array());
                attention.appendTo(graph, grids, "t", q, k, v, output, logSumExp, options);
                graph.transferToHost(DataTransferMode.UNDER_DEMAND, output.array(), logSumExp.array());
                execute(device, graph, grids);
            });
            print("backward " + name(kernel.id(), dtype, shape.headDim()), () -> {
                TaskGraph graph = new TaskGraph("g");
                GridScheduler grids = new GridScheduler();
                graph.transferToDevice(
                        DataTransferMode.FIRST_EXECUTION,
                        q.array(),
                        k.array(),
                        v.array(),
                        output.array(),
                        logSumExp.array(),
                        dOut.array(),
                        dLse.array());
                attention.appendBackwardTo(graph, grids, "t", tensors, options);
                graph.transferToHost(DataTransferMode.UNDER_DEMAND, dQ.array(), dK.array(), dV.array());
                execute(device, graph, grids);
            });
        }
    }

    private static void decoding(
            ComputeDevice device, DecodeKernel kernel, DType dtype, int headDim, RotaryEmbedding.Style style) {
        CacheOptions plain = CacheOptions.of(dtype)
                .on(device)
                .withKernel(kernel)
                .withSplits(2)
                .withRotary(RotaryEmbedding.of(headDim / 2 * 2, style));
        AttentionOptions options = AttentionOptions.causal().withSoftcap(20).withAlibi(AttentionOptions.alibiSlopes(4));
        Tensor q = Tensor.random(dtype, 1, 2, 4, 1, headDim);
        Tensor k = Tensor.random(dtype, 2, 2, 2, 1, headDim);
        Tensor v = Tensor.random(dtype, 3, 2, 2, 1, headDim);
        String name = name(kernel.id(), dtype, headDim);
        print("cache " + name, () -> {
            try (KvCache cache = KvCache.builder()
                    .batch(2)
                    .heads(4, 2)
                    .headDim(headDim)
                    .capacity(64)
                    .options(plain)
                    .build()) {
                cache.forward(q, k, v, options);
            }
        });
        print("fp8 cache " + name, () -> {
            try (KvCache cache = KvCache.builder()
                    .batch(2)
                    .heads(4, 2)
                    .headDim(headDim)
                    .capacity(64)
                    .options(plain.withCacheType(CacheType.E4M3))
                    .build()) {
                cache.forward(q, k, v, options);
            }
        });
        print("pages " + name, () -> {
            try (PagedKvCache cache = PagedKvCache.builder()
                    .sequences(2)
                    .heads(4, 2)
                    .headDim(headDim)
                    .capacity(64)
                    .pageSize(16)
                    .pages(12)
                    .options(plain)
                    .build()) {
                cache.forward(q, k, v, options);
            }
        });
        print("ragged " + name, () -> {
            try (RaggedAttention ragged = new RaggedAttention(device, kernel)) {
                ragged.forward(
                        Tensor.random(dtype, 1, 7, 4, headDim),
                        Tensor.random(dtype, 2, 9, 2, headDim),
                        Tensor.random(dtype, 3, 9, 2, headDim),
                        IntArray.fromElements(0, 3, 7),
                        IntArray.fromElements(0, 4, 9),
                        AttentionOptions.causal());
            }
        });
    }

    private static String name(String kernel, DType dtype, int headDim) {
        return kernel + " " + dtype + " " + headDim;
    }

    private static void execute(ComputeDevice device, TaskGraph graph, GridScheduler grids) throws Exception {
        try (TornadoExecutionPlan plan = new TornadoExecutionPlan(graph.snapshot())) {
            plan.withDevice(device.handle()).withGridScheduler(grids).execute();
        }
    }

    /**
     * A problem that a kernel or a device refuses has no text, and one whose kernels do not run has one all the same.
     */
    private static void print(String name, Problem problem) {
        PrintStream output = System.out;
        output.println("\n" + BEGIN + name);
        try {
            problem.run();
        } catch (Exception e) {
            output.println("\n" + BEGIN + "after " + name + ": " + e);
        }
    }

    private interface Problem {
        void run() throws Exception;
    }
}
