package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * 100 random problems, other ones each fortnight, each wholly determined by its seed. Of them a day has
 * {@linkplain CoveringArray its rows}. {@code -Dattention.seed=17} runs one of them, {@code -Dattention.seeds=1000}
 * more, and {@code -Dattention.firstSeed=20500} others.
 */
class RandomConfigurationsTest {

    private static final int DEFAULT_SEEDS = 100;

    private static final Integer ASKED_FOR = Integer.getInteger("attention.seeds");

    /** Fortnights do not overlap by default, and the name of each test has its seed. */
    private static final long FIRST =
            Long.getLong("attention.firstSeed", DEFAULT_SEEDS * Math.floorDiv(CoveringArray.SEED, CoveringArray.DAYS));

    private static final Long ONE = Long.getLong("attention.seed");

    /** Multiply-adds of QKᵀ up to which gradients are checked by default too, which is most of them. */
    private static final long GRADIENT_WORK = 1 << 20;

    static Stream<RandomConfiguration> configurations() {
        LongStream seeds = ONE == null
                ? LongStream.range(FIRST, FIRST + (ASKED_FOR == null ? DEFAULT_SEEDS : ASKED_FOR))
                : LongStream.of(ONE);
        Stream<RandomConfiguration> configurations = seeds.mapToObj(RandomConfiguration::of)
                .filter(configuration -> TestDevice.tries(configuration.kernel()));
        return ONE != null || ASKED_FOR != null
                ? configurations
                : CoveringArray.ofEachValue(RandomConfigurationsTest::values)
                        .withTuple(0, 1)
                        .ofTheDay(configurations);
    }

    /** Kernel, type, kind of mask, and whether it has each of the other options. */
    private static List<?> values(RandomConfiguration configuration) {
        AttentionCase problem = configuration.problem();
        AttentionOptions options = problem.options();
        return List.of(
                configuration.kernel(),
                problem.dtype(),
                options.mask().toString().replaceFirst("\\(.*", ""),
                options.hasSoftcap(),
                options.scale().isPresent(),
                options.hasAlibi(),
                options.hasKeyLengths(),
                options.hasDropout(),
                problem.shape().heads() / problem.shape().kvHeads());
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
