package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Settings from system properties and from code. */
class SimulatorSettingsTest {

    private static final String PREFIX = "tornadoattention.simulator.";

    private static final String[] NAMES = {"checks", "seed", "threads", "counters", "localMemory", "barriers"};

    private final Map<String, String> before = new HashMap<>();

    @BeforeEach
    void clear() {
        for (String name : NAMES) {
            before.put(PREFIX + name, System.clearProperty(PREFIX + name));
        }
    }

    @AfterEach
    void restore() {
        before.forEach((name, value) -> {
            if (value == null) {
                System.clearProperty(name);
            } else {
                System.setProperty(name, value);
            }
        });
    }

    private static SimulatorSettings with(String name, String value) {
        System.setProperty(PREFIX + name, value);
        return SimulatorSettings.fromSystemProperties();
    }

    @Test
    void everythingIsOnByDefault() {
        SimulatorSettings settings = SimulatorSettings.fromSystemProperties();
        assertThat(settings.checks()).containsExactlyInAnyOrder(Check.values());
        assertThat(settings.counters()).isTrue();
        assertThat(settings.seed()).isEmpty();
        assertThat(settings.threads()).isEqualTo(Runtime.getRuntime().availableProcessors());
    }

    @Test
    void propertiesAreRead() {
        assertThat(with("checks", "none").checks()).isEmpty();
        assertThat(with("checks", "all").checks()).hasSize(Check.values().length);
        assertThat(with("checks", "races, Bounds").checks()).containsExactlyInAnyOrder(Check.RACES, Check.BOUNDS);
        assertThat(with("seed", "42").seed()).hasValue(42);
        assertThat(with("threads", "3").threads()).isEqualTo(3);
        assertThat(with("counters", "false").counters()).isFalse();
        assertThat(with("localMemory", "1000").localMemory()).isEqualTo(1000);
        assertThat(with("barriers", "70").barriers()).isEqualTo(70);
    }

    @Test
    void wrongValuesAreExplained() {
        assertThatThrownBy(() -> with("checks", "race"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("there is no check 'race'")
                .hasMessageContaining("races, barriers");
        assertThatThrownBy(() -> with("checks", "all").withThreads(0)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> with("barriers", "0")).hasMessageContaining("barriers must be at least 1");
    }

    @Test
    void aConfigurationIsTakenBack() {
        SimulatorSettings before = Simulator.settings();
        try (Simulator.Restore _ =
                Simulator.configure(before.withChecks(Set.of(Check.RACES)).withSeed(1))) {
            assertThat(Simulator.settings().checks()).containsExactly(Check.RACES);
            assertThat(Simulator.settings().seed()).hasValue(1);
        }
        assertThat(Simulator.settings()).isEqualTo(before);
    }
}
