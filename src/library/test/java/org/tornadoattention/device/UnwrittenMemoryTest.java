package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Isolated;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.JavaProcess;
import org.tornadoattention.TestDevice;
import org.tornadoattention.tensor.DType;
import org.tornadoattention.tensor.Tensor;

/** Memory that is not zeroed: where it lies, how long it lives, and that tests would see what nobody wrote. */
@Isolated
class UnwrittenMemoryTest {

    private static final long LARGE = 1 << 20;

    @BeforeEach
    void thereIsSome() {
        assumeTrue(System.getProperty("os.name").equals("Linux"), "elsewhere the JVM's own memory is taken");
    }

    @Test
    void whatFollowsTheHeaderBeginsWithALine() {
        for (long bytes : new long[] {LARGE, LARGE + 2, 3 * LARGE + 4}) {
            for (long header : new long[] {0, 16, 24, 64}) {
                MemorySegment memory = UnwrittenMemory.allocate(header, bytes).orElseThrow();
                assertThat(memory.byteSize()).isEqualTo(header + bytes);
                assertThat((memory.address() + header) % 64).isZero();
                memory.fill((byte) 3);
            }
        }
    }

    @Test
    void noneOfNothingAndOfMoreThanTheJvmWouldGive() {
        assertThat(UnwrittenMemory.allocate(16, 0)).isEmpty();
        long used = UnwrittenMemory.used();
        assertThat(UnwrittenMemory.allocate(16, Runtime.getRuntime().maxMemory()))
                .isEmpty();
        assertThat(UnwrittenMemory.used()).isEqualTo(used);
    }

    /** Tests run with the property that poisons it, so that what is never written fails in every test of the engine. */
    @Test
    void whatNobodyWroteIsNaNInTests() {
        assertThat(System.getProperty(UnwrittenMemory.PROPERTY)).isEqualTo("true");
        MemorySegment memory = UnwrittenMemory.allocate(16, 100).orElseThrow();
        assertThat(memory.getAtIndex(ValueLayout.JAVA_FLOAT, 28)).isNaN();
        for (DType dtype : List.of(DType.F16, DType.BF16)) {
            assertThat(dtype.decode(memory.getAtIndex(ValueLayout.JAVA_SHORT, 57)))
                    .isNaN();
        }
    }

    @Test
    void itIsFreedWhenNothingRefersToIt() throws InterruptedException {
        long before = settled(Long.MAX_VALUE);
        Tensor q = Tensor.random(DType.F32, 1, 1, 1, 8192, 32);
        Tensor few = Tensor.random(DType.F32, 2, 1, 1, 8, 32);
        List<Tensor> kept = new ArrayList<>();
        try (FlashAttention attention = FlashAttention.on(TestDevice.jvm())) {
            for (int call = 0; call < 8; call++) {
                kept.add(attention.forward(q, few, few).output());
            }
            assertThat(UnwrittenMemory.used()).isGreaterThanOrEqualTo(before + 8 * LARGE);
            float[] last = kept.getLast().toFloatArray();
            assertThat(kept.getFirst().toFloatArray()).isEqualTo(last);
        }
        kept.clear();
        assertThat(settled(before)).isLessThanOrEqualTo(before);
    }

    /**
     * What nothing refers to any more is given to the next, poisoned anew, and not so much is kept that it would harm.
     */
    @Test
    void itIsUsedAgain() throws InterruptedException {
        long bytes = 5 * LARGE; // as no other test asks for
        Set<Long> places = new HashSet<>();
        for (int i = 0; i < 4; i++) {
            MemorySegment memory = UnwrittenMemory.allocate(16, bytes).orElseThrow();
            memory.fill((byte) 7);
            places.add(memory.address());
        }
        settled(0);
        assertThat(UnwrittenMemory.unused())
                .isPositive()
                .isLessThanOrEqualTo(Runtime.getRuntime().maxMemory() / 4);
        MemorySegment again = UnwrittenMemory.allocate(16, bytes).orElseThrow();
        assertThat(places).contains(again.address());
        assertThat(again.getAtIndex(ValueLayout.JAVA_FLOAT, 1000)).isNaN();
        UnwrittenMemory.freeKept();
        assertThat(UnwrittenMemory.unused()).isZero();
        assertThat(again.fill((byte) 0).get(ValueLayout.JAVA_BYTE, bytes)).isZero();
    }

    /** Bytes in use once the collector has been asked often enough for them to fall to a limit, or is given up. */
    private static long settled(long limit) throws InterruptedException {
        for (int i = 0; i < 100; i++) {
            System.gc();
            Thread.sleep(20);
            if (i >= 3 && UnwrittenMemory.used() <= limit) {
                break;
            }
        }
        return UnwrittenMemory.used();
    }

    /** What runs in another JVM. */
    public static void main(String[] arguments) {
        System.out.println("large: " + UnwrittenMemory.allocate(16, LARGE).isPresent());
        System.out.println("small: " + UnwrittenMemory.allocate(16, 100).isPresent());
    }

    private static String output(Predicate<String> kept) {
        List<String> options = List.of("-D" + UnwrittenMemory.PROPERTY + "=false");
        return JavaProcess.run(kept, options, UnwrittenMemoryTest.class.getName())
                .output();
    }

    @Test
    void smallOnesAreTheJvms() {
        assertThat(output(_ -> true)).contains("large: true", "small: false");
    }

    @Test
    void withoutNativeAccessThereIsNoneAndNoWarning() {
        assertThat(output(argument -> !argument.contains("native-access")))
                .contains("large: false")
                .doesNotContain("restricted method");
    }
}
