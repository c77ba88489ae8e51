package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * 100 random problems, other ones each day, each wholly determined by its seed: {@code -Dattention.seed=17} runs one of
 * them, {@code -Dattention.seeds=1000} more of them, and {@code -Dattention.firstSeed=20500} those of another day.
 */
class RandomConfigurationsTest {

    private static final int DEFAULT_SEEDS = 50;

    /** Days do not overlap by default, and the name of each test has its seed. */
    private static final long FIRST = Long.getLong(
            "attention.firstSeed", DEFAULT_SEEDS * LocalDate.now(ZoneOffset.UTC).toEpochDay());

    private static final Long ONE = Long.getLong("attention.seed");

    /** Multiply-adds of QKᵀ up to which gradients are checked by default too, which is most of them. */
    private static final long GRADIENT_WORK = 1 << 20;

    static Stream<RandomConfiguration> configurations() {
        LongStream seeds = ONE == null
                ? LongStream.range(FIRST, FIRST + Integer.getInteger("attention.seeds", DEFAULT_SEEDS))
                : LongStream.of(ONE);
        return seeds.mapToObj(RandomConfiguration::of)
                .filter(configuration -> TestDevice.tries(configuration.kernel()));
    }

    @Tag("both-tiers")
    @ParameterizedTest(name = "{0}")
    @MethodSource("configurations")
    void isAccurate(RandomConfiguration configuration) {
        reproducibly(configuration, () -> {
            AttentionCase problem = configuration.problem();
            try (FlashAttention attention =
                    FlashAttention.on(TestDevice.of(configuration.kernel()), configuration.kernel())) {
                AttentionResult result = problem.run(attention);
                boolean more = ONE != null || AttentionGrid.FULL;
                // Gradients of another kernel's are that kernel's case.
                boolean own = GradientGridTest.WITH_BACKWARD.contains(configuration.kernel());
                if (more && configuration.kernel().supportsBackward() || own && problem.work() <= GRADIENT_WORK) {
                    problem.assertAllAccurate(attention, result);
                } else {
                    problem.assertAccurate(result);
                }
            }
        });
    }

    /** Whatever goes wrong, the message begins with what to type to see it again. */
    private static void reproducibly(RandomConfiguration configuration, Runnable check) {
        try {
            check.run();
        } catch (RuntimeException | AssertionError e) {
            throw new AssertionError(
                    "%s%n%s failed: %s".formatted(configuration.reproduce(), configuration, e.getMessage()), e);
        }
    }

    @Test
    void aSeedAloneDeterminesTheConfiguration() {
        assertThat(RandomConfiguration.of(17)).isEqualTo(RandomConfiguration.of(17));
        assertThat(RandomConfiguration.of(17).problem().q().toFloatArray())
                .isEqualTo(RandomConfiguration.of(17).problem().q().toFloatArray());
        assertThat(RandomConfiguration.of(17).problem())
                .isNotEqualTo(RandomConfiguration.of(18).problem());
    }

    @Test
    void aFailureSaysHowToReproduceIt() {
        RandomConfiguration sound = RandomConfiguration.of(26);
        AttentionResult result = sound.problem().run(sound.kernel());
        result.output().setFlat(0, result.output().getFlat(0) + 1);
        assertThatThrownBy(() -> reproducibly(sound, () -> sound.problem().assertAccurate(result)))
                .isInstanceOf(AssertionError.class)
                .hasMessageContainingAll(
                        "./mvnw test -Dtest=RandomConfigurationsTest -Dattention.seed=26", "element 0 is");
    }
}
