package org.tornadoattention.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Code that was kept is the code that would be made, or is made. */
class CodeStoreTest {

    private static final byte[] CODE = code(1, 1000);
    private static final List<String> KEY = List.of("sm_90a", "12.8", "text");

    @TempDir
    private Path directory;

    private static byte[] code(int value, int bytes) {
        byte[] code = new byte[bytes];
        Arrays.fill(code, (byte) value);
        return code;
    }

    private static byte[] notMade() {
        throw new IllegalStateException("made again");
    }

    private CodeStore store(long mostBytes) {
        return new CodeStore(Optional.of(directory), mostBytes);
    }

    private CodeStore store() {
        return store(1 << 20);
    }

    private List<Path> files() throws IOException {
        try (Stream<Path> files = Files.list(directory)) {
            return files.toList();
        }
    }

    @Test
    void codeIsMadeOnceAlsoForTheNextRun() throws IOException {
        assertThat(store().get(KEY, () -> CODE)).isEqualTo(CODE);
        assertThat(store().get(KEY, CodeStoreTest::notMade)).isEqualTo(CODE);
        assertThat(files()).hasSize(1);
    }

    @Test
    void whatWasKeptIsFoundAndNothingElse() throws IOException {
        assertThat(store().find(KEY)).isEmpty();
        store().keep(KEY, CODE);
        assertThat(store().find(KEY)).hasValue(CODE);
        assertThat(store().find(List.of("sm_90a", "12.8"))).isEmpty();
        Files.write(files().getFirst(), new byte[100]);
        assertThat(store().find(KEY)).isEmpty();
        CodeStore none = new CodeStore(Optional.empty(), 1 << 20);
        none.keep(KEY, CODE);
        assertThat(none.find(KEY)).isEmpty();
    }

    @Test
    void everyPartOfTheKeyCounts() {
        store().get(KEY, () -> CODE);
        for (List<String> other : List.of(
                List.of("sm_80", "12.8", "text"),
                List.of("sm_90a", "12.9", "text"),
                List.of("sm_90a", "12.8", "text "),
                List.of("sm_90a12.8", "text"),
                List.of("sm_90a", "12.8text"))) {
            assertThatIllegalStateException().isThrownBy(() -> store().get(other, CodeStoreTest::notMade));
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"empty", "short", "digest", "code", "longer"})
    void damagedCodeIsMadeAgain(String damage) throws IOException {
        store().get(KEY, () -> CODE);
        Path file = files().getFirst();
        byte[] bytes = Files.readAllBytes(file);
        switch (damage) {
            case "empty" -> bytes = new byte[0];
            case "short" -> bytes = Arrays.copyOf(bytes, bytes.length - 1);
            case "digest" -> bytes[3] ^= 1;
            case "code" -> bytes[bytes.length - 1] ^= 1;
            default -> bytes = Arrays.copyOf(bytes, bytes.length + 1);
        }
        Files.write(file, bytes);
        byte[] other = code(2, 10);
        assertThat(store().get(KEY, () -> other)).isEqualTo(other);
        assertThat(store().get(KEY, CodeStoreTest::notMade)).isEqualTo(other);
    }

    @Test
    void whatWasUsedLongestAgoGoesFirst() throws IOException {
        CodeStore store = store(5000);
        for (int i = 0; i < 4; i++) {
            int value = i;
            store.get(List.of("text " + i), () -> code(value, 1000));
            for (Path file : files()) {
                FileTime used = Files.getLastModifiedTime(file);
                Files.setLastModifiedTime(file, FileTime.from(used.toInstant().minus(Duration.ofMinutes(1))));
            }
        }
        assertThat(store.get(List.of("text 0"), CodeStoreTest::notMade)).isEqualTo(code(0, 1000));
        store.get(List.of("text 4"), () -> code(4, 1000));
        assertThat(files()).hasSize(3);
        for (int kept : new int[] {0, 3, 4}) {
            assertThat(store.get(List.of("text " + kept), CodeStoreTest::notMade))
                    .isEqualTo(code(kept, 1000));
        }
    }

    @Test
    void whatADeadWriterLeftGoesAndWhatIsBeingWrittenStays() throws IOException {
        Path dead = Files.createFile(directory.resolve("1.part"));
        Files.setLastModifiedTime(dead, FileTime.from(Instant.now().minus(Duration.ofHours(2))));
        Path living = Files.createFile(directory.resolve("2.part"));
        Path foreign = Files.createFile(directory.resolve("notes.txt"));
        store(1).get(KEY, () -> CODE);
        assertThat(files()).containsExactlyInAnyOrder(living, foreign);
    }

    @Test
    void writersAndReadersDoNotDisturbEachOther() throws Exception {
        int threads = 16;
        AtomicInteger wrong = new AtomicInteger();
        CountDownLatch start = new CountDownLatch(1);
        try (ExecutorService pool = Executors.newFixedThreadPool(threads)) {
            List<? extends Future<?>> all = IntStream.range(0, threads)
                    .mapToObj(thread -> pool.submit(() -> {
                        start.await();
                        for (int i = 0; i < 40; i++) {
                            int value = i % 5;
                            byte[] code = store(3000).get(List.of("text " + value), () -> code(value, 1000));
                            if (!Arrays.equals(code, code(value, 1000))) {
                                wrong.incrementAndGet();
                            }
                        }
                        return null;
                    }))
                    .toList();
            start.countDown();
            for (Future<?> each : all) {
                each.get();
            }
        }
        assertThat(wrong).hasValue(0);
        assertThat(files()).noneMatch(file -> file.toString().endsWith(".part"));
    }

    @Test
    void aDirectoryThatCannotBeCostsOnlyTime() throws IOException {
        Path file = Files.createFile(directory.resolve("file"));
        CodeStore store = new CodeStore(Optional.of(file.resolve("inside")), 1000);
        assertThat(store.get(KEY, () -> CODE)).isEqualTo(CODE);
        assertThat(store.get(KEY, () -> CODE)).isEqualTo(CODE);
    }

    @Test
    void whatMakingThrowsIsThrownAndNothingIsKept() throws IOException {
        Supplier<byte[]> failing = CodeStoreTest::notMade;
        assertThatIllegalStateException().isThrownBy(() -> store().get(KEY, failing));
        assertThat(files()).isEmpty();
    }

    @Test
    void thePropertyAndTheEnvironmentSayWhere() {
        Map<String, String> none = Map.of();
        assertThat(CodeStore.directory("off", Map.of("HOME", "/home/me"))).isEmpty();
        assertThat(CodeStore.directory("", none)).isEmpty();
        assertThat(CodeStore.directory("/elsewhere/code", none)).contains(Path.of("/elsewhere/code"));
        assertThat(CodeStore.directory("", Map.of("HOME", "/home/me")))
                .contains(Path.of("/home/me/.cache/tornado-attention/code"));
        assertThat(CodeStore.directory("", Map.of("HOME", "/home/me", "XDG_CACHE_HOME", "/caches")))
                .contains(Path.of("/caches/tornado-attention/code"));
        assertThat(CodeStore.directory("", Map.of("HOME", "/home/me", "XDG_CACHE_HOME", "relative")))
                .contains(Path.of("/home/me/.cache/tornado-attention/code"));
        assertThat(new CodeStore(Optional.empty(), 1).get(KEY, () -> CODE)).isEqualTo(CODE);
    }
}
