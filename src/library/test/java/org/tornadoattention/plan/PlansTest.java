package org.tornadoattention.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.tornadoattention.AttentionException;

class PlansTest {

    private final List<String> closed = new ArrayList<>();
    private final Plans plans = new Plans(3);

    private class Plan implements DevicePlan {

        final String name;

        Plan(String name) {
            this.name = name;
        }

        @Override
        public void close() {
            closed.add(name);
        }
    }

    private final class OtherPlan extends Plan {

        OtherPlan(String name) {
            super("other " + name);
        }
    }

    private String use(String problem) {
        return plans.use(Plan.class, problem, () -> new Plan(problem), plan -> plan.name);
    }

    @Test
    void theLeastRecentlyUsedIsClosedWhereThereAreTooMany() {
        for (String problem : List.of("a", "b", "c", "a", "d")) {
            assertThat(use(problem)).isEqualTo(problem);
        }
        assertThat(closed).containsExactly("b");
        assertThat(plans.statistics().hits()).isEqualTo(1);
        assertThat(plans.statistics().misses()).isEqualTo(4);
        assertThat(plans.statistics().plans()).isEqualTo(3);
        plans.close();
        assertThat(closed).containsExactly("b", "c", "a", "d");
        assertThat(plans.statistics().plans()).isZero();
    }

    @Test
    void plansOfDifferentKindsForEqualProblemsAreDifferent() {
        use("a");
        assertThat(plans.<OtherPlan, String>use(OtherPlan.class, "a", () -> new OtherPlan("a"), plan -> plan.name))
                .isEqualTo("other a");
        assertThat(plans.statistics().misses()).isEqualTo(2);
    }

    @Test
    void aPlanThatFailedIsClosedAndForgotten() {
        assertThatExceptionOfType(AttentionException.class)
                .isThrownBy(() -> plans.run(Plan.class, "a", () -> new Plan("a"), _ -> {
                    throw new AttentionException("No.", null);
                }));
        assertThat(closed).containsExactly("a");
        assertThat(plans.statistics().plans()).isZero();
        use("a");
        assertThat(plans.statistics().misses()).isEqualTo(2);
    }

    @Test
    void aPlanThatCannotBeBuiltLeavesTheOthers() {
        use("a");
        assertThatExceptionOfType(AttentionException.class)
                .isThrownBy(() -> plans.run(
                        Plan.class,
                        "b",
                        () -> {
                            throw new AttentionException("No.", null);
                        },
                        _ -> {}));
        assertThat(closed).isEmpty();
        assertThat(plans.statistics().plans()).isEqualTo(1);
    }

    @Test
    void allAreClosedWhereClosingOneFails() {
        use("a");
        plans.run(
                Plan.class,
                "b",
                () -> new Plan("b") {
                    @Override
                    public void close() {
                        throw new AttentionException("No.", null);
                    }
                },
                _ -> {});
        use("c");
        assertThatExceptionOfType(AttentionException.class).isThrownBy(plans::close);
        assertThat(closed).containsExactly("a", "c");
    }
}
