package org.tornadoattention.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.CacheFullException;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/**
 * A paged cache does what lists of tokens do, whatever comes after what: {@code -Dattention.operations=10000} for the
 * whole.
 */
class PagedCacheModelTest {

    private static final int SEQUENCES = 4;
    private static final int PAGE_SIZE = 4;
    private static final int PAGES = 13;
    private static final int CAPACITY = 24;
    private static final int DIM = 4;
    private static final int MOST_NEW = 6;

    private final SplittableRandom random = new SplittableRandom(18);
    private final List<List<Integer>> model = new ArrayList<>();
    private int nextToken;

    @Test
    void randomOperations() {
        IntStream.range(0, SEQUENCES).forEach(_ -> model.add(new ArrayList<>()));
        int refused = 0;
        try (PagedKvCache cache = PagedKvCache.builder()
                .sequences(SEQUENCES)
                .heads(1, 1)
                .headDim(DIM)
                .capacity(CAPACITY)
                .pageSize(PAGE_SIZE)
                .pages(PAGES)
                .options(CacheCase.options(TestDevice.get(), DType.F32).withPromptTokens(MOST_NEW))
                .build()) {
            int operations = Integer.getInteger("attention.operations", 120);
            for (int operation = 0; operation < operations; operation++) {
                int sequence = random.nextInt(SEQUENCES);
                switch (random.nextInt(8)) {
                    case 0 -> {
                        cache.release(sequence);
                        model.get(sequence).clear();
                    }
                    case 1 -> fork(cache, random.nextInt(SEQUENCES), sequence);
                    case 2 -> truncate(cache);
                    default -> refused += append(cache) ? 0 : 1;
                }
                check(cache, sequence);
            }
            IntStream.range(0, SEQUENCES).forEach(sequence -> check(cache, sequence));
            IntStream.range(0, SEQUENCES).forEach(cache::release);
            assertThat(cache.freePages()).isEqualTo(PAGES);
            assertThat(refused).isPositive();
        }
    }

    private void fork(PagedKvCache cache, int from, int to) {
        if (!model.get(to).isEmpty()) {
            assertThatIllegalArgumentException().isThrownBy(() -> cache.fork(from, to));
        } else {
            cache.fork(from, to);
            model.get(to).addAll(model.get(from));
        }
    }

    private void truncate(PagedKvCache cache) {
        int[] lengths = model.stream()
                .mapToInt(tokens -> random.nextBoolean() ? tokens.size() : random.nextInt(tokens.size() + 1))
                .toArray();
        cache.truncate(lengths);
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            List<Integer> tokens = model.get(sequence);
            tokens.subList(lengths[sequence], tokens.size()).clear();
        }
    }

    /** Whether there was room. */
    private boolean append(PagedKvCache cache) {
        int[] counts = IntStream.range(0, SEQUENCES)
                .map(_ -> random.nextInt(3) == 0 ? random.nextInt(MOST_NEW + 1) : 0)
                .toArray();
        Tensor k = Tensor.allocate(DType.F32, SEQUENCES, 1, MOST_NEW, DIM);
        int[][] tokens = new int[SEQUENCES][];
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            tokens[sequence] =
                    IntStream.range(0, counts[sequence]).map(_ -> nextToken++).toArray();
            for (int i = 0; i < counts[sequence]; i++) {
                k.set(tokens[sequence][i], sequence, 0, i, 0);
            }
        }
        int before = cache.freePages();
        if (!fits(cache, counts)) {
            assertThatExceptionOfType(CacheFullException.class).isThrownBy(() -> cache.append(k, negated(k), counts));
            assertThat(cache.freePages()).isEqualTo(before);
            return false;
        }
        if (random.nextBoolean()) {
            cache.append(k, negated(k), counts);
        } else {
            cache.forward(k, k, negated(k), AttentionOptions.causal(), counts);
        }
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            Arrays.stream(tokens[sequence]).forEach(model.get(sequence)::add);
        }
        return true;
    }

    /** Whether sequences have room, and the pool has pages for what begins one or writes a shared one. */
    private boolean fits(PagedKvCache cache, int... counts) {
        int wanted = 0;
        List<Integer> all = new ArrayList<>();
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            Arrays.stream(cache.pages(sequence)).forEach(all::add);
        }
        for (int sequence = 0; sequence < SEQUENCES; sequence++) {
            int length = model.get(sequence).size();
            if (length + counts[sequence] > CAPACITY) {
                return false;
            }
            wanted += Math.ceilDiv(length + counts[sequence], PAGE_SIZE) - Math.ceilDiv(length, PAGE_SIZE);
            if (counts[sequence] > 0 && length % PAGE_SIZE != 0) {
                int[] pages = cache.pages(sequence);
                Integer last = pages[pages.length - 1];
                if (all.stream().filter(last::equals).count() > 1) {
                    all.remove(last);
                    wanted++;
                }
            }
        }
        return wanted <= cache.freePages();
    }

    private static Tensor negated(Tensor tensor) {
        float[] values = tensor.toFloatArray();
        for (int i = 0; i < values.length; i++) {
            values[i] = -values[i];
        }
        return Tensor.of(values, tensor.shape());
    }

    private void check(PagedKvCache cache, int sequence) {
        assertThat(cache.lengths())
                .isEqualTo(model.stream().mapToInt(List::size).toArray());
        long taken = IntStream.range(0, SEQUENCES)
                .flatMap(each -> Arrays.stream(cache.pages(each)))
                .distinct()
                .count();
        assertThat(cache.freePages()).isEqualTo(PAGES - (int) taken);
        Tensor keys = cache.keys(sequence);
        Tensor values = cache.values(sequence);
        List<Integer> tokens = model.get(sequence);
        for (int i = 0; i < tokens.size(); i++) {
            assertThat(keys.get(0, 0, i, 0)).isEqualTo(tokens.get(i).floatValue());
            assertThat(values.get(0, 0, i, 0)).isEqualTo(-tokens.get(i).floatValue());
        }
    }
}
