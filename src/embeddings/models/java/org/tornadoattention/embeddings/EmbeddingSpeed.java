package org.tornadoattention.embeddings;

import ai.onnxruntime.OrtException;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntConsumer;

/**
 * Texts per second of this library beside ONNX Runtime, on the same texts, threads and machine, in turns; and what one
 * text at a time takes, by its length.
 */
final class EmbeddingSpeed {

    private static final int[] BATCHES = {4, 16, 64};

    /** Tokens up to which texts are taken together. */
    private static final int[] LENGTHS = {16, 32, 64, 128, 256, 512};

    private EmbeddingSpeed() {}

    /** @param arguments threads (2), rounds (3), texts (200) */
    public static void main(String[] arguments) throws IOException, OrtException {
        int threads = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 2;
        int rounds = arguments.length > 1 ? Integer.parseInt(arguments[1]) : 3;
        System.setProperty("tornadoattention.threads", String.valueOf(threads));
        List<String> texts = MixedTexts.of(arguments.length > 2 ? Integer.parseInt(arguments[2]) : 200);
        try (TextEncoder encoder = TextEncoder.builder()
                        .modelResource("all-minilm-l6-v2.onnx")
                        .tokenizerResource("all-minilm-l6-v2-tokenizer.json")
                        .threads(threads)
                        .build();
                OnnxRuntimeEncoder peer = new OnnxRuntimeEncoder(threads)) {
            texts = texts.stream()
                    .filter(text -> peer.tokens(text).length <= 512)
                    .toList();
            List<String> mixed = texts;
            List<String> sorted = texts.stream()
                    .sorted(Comparator.comparingInt(text -> peer.tokens(text).length))
                    .toList();
            int tokens =
                    texts.stream().mapToInt(text -> peer.tokens(text).length).sum();
            System.out.printf(
                    "%d texts of %d tokens, %.0f on average, %d threads, best of %d rounds%n",
                    texts.size(), tokens, (double) tokens / texts.size(), threads, rounds);
            List<String> names = new ArrayList<>(List.of(
                    "this library, all texts in one call",
                    "this library, one text at a time",
                    "ONNX Runtime, one text at a time"));
            List<IntConsumer> runs = new ArrayList<>(List.of(
                    _ -> encoder.encode(mixed), _ -> mixed.forEach(encoder::encode), _ -> encode(peer, mixed, 1)));
            for (int batch : BATCHES) {
                names.add("ONNX Runtime, batches of %d, sorted by length".formatted(batch));
                runs.add(_ -> encode(peer, sorted, batch));
            }
            double[] best = new double[runs.size()];
            double[] work = new double[runs.size()];
            OperatingSystemMXBean system = ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
            for (int round = 0; round <= rounds; round++) {
                for (int i = 0; i < best.length; i++) {
                    long start = System.nanoTime();
                    long before = system.getProcessCpuTime();
                    runs.get(i).accept(round);
                    double processor = (system.getProcessCpuTime() - before) / 1e9;
                    double seconds = (System.nanoTime() - start) / 1e9;
                    best[i] = round == 0 ? Double.POSITIVE_INFINITY : Math.min(best[i], seconds); // round 0 warms up
                    work[i] = round == 0 ? Double.POSITIVE_INFINITY : Math.min(work[i], processor);
                }
            }
            for (int i = 0; i < best.length; i++) {
                System.out.printf(
                        "%-50s %8.1f texts/s %10.0f tokens/s %8.1f texts per second of processor time%n",
                        names.get(i), texts.size() / best[i], tokens / best[i], texts.size() / work[i]);
            }
            byLength(encoder, peer, texts, threads, rounds);
        }
    }

    /** With one thread by its processor time, since both compute in the calling one, and otherwise by the clock. */
    private static void byLength(
            TextEncoder encoder, OnnxRuntimeEncoder peer, List<String> texts, int threads, int rounds) {
        System.out.printf(
                "one text at a time, ms of %s, medians of %d rounds in turns%n",
                threads == 1 ? "processor time" : "wall time", rounds);
        int from = 0;
        for (int to : LENGTHS) {
            int more = from;
            List<String> some = texts.stream()
                    .filter(text -> peer.tokens(text).length > more && peer.tokens(text).length <= to)
                    .toList();
            double[][] times = new double[2][rounds];
            for (int round = -1; round < rounds; round++) {
                long start = time(threads);
                some.forEach(encoder::encode);
                long between = time(threads);
                encode(peer, some, 1);
                times[0][Math.max(0, round)] = between - start;
                times[1][Math.max(0, round)] = time(threads) - between;
            }
            from = to;
            if (!some.isEmpty()) {
                double ours = median(times[0]) / 1e6 / some.size();
                double theirs = median(times[1]) / 1e6 / some.size();
                System.out.printf(
                        "%3d texts of %3d to %3d tokens: this library %6.2f, ONNX Runtime %6.2f, %.2f times as fast%n",
                        some.size(), more + 1, to, ours, theirs, theirs / ours);
            }
        }
    }

    private static long time(int threads) {
        return threads == 1 ? ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() : System.nanoTime();
    }

    private static double median(double[] times) {
        return Arrays.stream(times).sorted().toArray()[times.length / 2];
    }

    private static void encode(OnnxRuntimeEncoder peer, List<String> texts, int batch) {
        try {
            for (int from = 0; from < texts.size(); from += batch) {
                peer.encode(texts.subList(from, Math.min(from + batch, texts.size())));
            }
        } catch (OrtException e) {
            throw new IllegalStateException(e);
        }
    }
}
