package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/** Shards together run every test, each of them once. */
class ShardTest {

    private static final int INVOCATIONS = 64;

    /** Run by the tests below only. */
    static final class Shared {

        static IntStream numbers() {
            return IntStream.range(0, INVOCATIONS);
        }

        @ParameterizedTest
        @MethodSource("numbers")
        void parameterised(int number) {
            assertThat(number).isLessThan(INVOCATIONS);
        }

        @Test
        void single() {
            assertThat(true).isTrue();
        }
    }

    private static List<String> passed(String shard) {
        List<String> passed = new ArrayList<>();
        List<Throwable> failures = new ArrayList<>();
        LauncherFactory.create()
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selectClass(Shared.class))
                                .configurationParameter("attention.shard", shard)
                                .configurationParameter("junit.jupiter.extensions.autodetection.enabled", "true")
                                .build(),
                        new TestExecutionListener() {
                            @Override
                            public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                                result.getThrowable().ifPresent(failures::add);
                                if (test.isTest()) {
                                    passed.add(test.getUniqueId());
                                }
                            }
                        });
        if (!failures.isEmpty()) {
            throw new IllegalArgumentException(failures.getFirst().toString());
        }
        return passed;
    }

    @Test
    void togetherTheyRunEveryTestOnce() {
        List<List<String>> shards =
                Stream.of("1/4", "2/4", "3/4", "4/4").map(ShardTest::passed).toList();
        assertThat(shards.stream().flatMap(List::stream))
                .doesNotHaveDuplicates()
                .hasSize(INVOCATIONS + 1);
        assertThat(shards).allSatisfy(shard -> assertThat(shard).hasSizeBetween(INVOCATIONS / 8, INVOCATIONS / 2));
        assertThat(passed("1/1")).hasSize(INVOCATIONS + 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0/4", "5/4", "4", "1/0", "a/b", ""})
    void whatIsNoShardIsRefused(String shard) {
        assertThatIllegalArgumentException().isThrownBy(() -> passed(shard)).withMessageContaining("such as 3/16");
    }
}
