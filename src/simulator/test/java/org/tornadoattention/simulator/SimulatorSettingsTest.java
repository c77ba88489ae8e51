package org.tornadoattention.simulator;

import static java.util.stream.Collectors.joining;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.File;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Settings from system properties and from code. */
class SimulatorSettingsTest {

    private static final String PREFIX = "tornadoattention.simulator.";

    private static final String[] NAMES = {
        "checks",
        "seed",
        "threads",
        "counters",
        "localMemory",
        "loopSeconds",
        "barriers",
        "costs",
        "trace",
        "sources",
        "numbers",
        "devices"
    };

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

    /** An endless loop is found within two seconds where nobody allows more. */
    @Test
    void aLoopMayTakeASecondByDefault() {
        assertThat(SimulatorSettings.fromSystemProperties().loopSeconds()).isEqualTo(1);
        assertThat(with("loopSeconds", "7").loopSeconds()).isEqualTo(7);
    }

    @Test
    void everythingIsOnByDefault() {
        SimulatorSettings settings = SimulatorSettings.fromSystemProperties();
        assertThat(settings.checks()).containsExactlyInAnyOrder(Check.values());
        assertThat(settings.counters()).isTrue();
        assertThat(settings.seed()).isEmpty();
        assertThat(settings.costs()).isEmpty();
        assertThat(settings.trace()).isEmpty();
        assertThat(settings.sources()).containsExactly(Path.of("."));
        assertThat(settings.numbers()).isFalse();
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
        assertThat(with("loopSeconds", "7").loopSeconds()).isEqualTo(7);
        assertThat(with("costs", "a100").costs()).hasValue(Gpu.A100);
        assertThat(with("costs", "none").costs()).isEmpty();
        assertThat(with("numbers", "true").numbers()).isTrue();
        assertThat(with("devices", "3").devices()).isEqualTo(3);
        assertThat(with("trace", "pages/of it").trace()).hasValue(Path.of("pages/of it"));
        assertThat(with("sources", "a" + File.pathSeparator + "b").sources())
                .containsExactly(Path.of("a"), Path.of("b"));
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "checks      | race        | all, none, or some of races, barriers, bounds, uninitialized, transfers",
                "costs       | voodoo      | none, or a GPU: one of h200, h100, a100",
                "checks      | races,,none | all, none, or some of",
                "checks      | ''          | all, none, or some of",
                "counters    | yes         | true or false",
                "seed        | lucky       | a whole number",
                "threads     | 0           | a whole number from 1 on",
                "threads     | two         | a whole number from 1 on",
                "localMemory | 48k         | a whole number from 0 on",
                "barriers    | -1          | a whole number from 1 on",
                "devices     | 0           | a whole number from 1 on",
                "trace       | ''          | a folder",
            })
    void aWrongValueIsNamedWithItsPropertyAndWhatIsAllowed(String name, String value, String allowed) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> with(name, value))
                .withMessageContaining("-D" + PREFIX + name + "=" + value + ": it must be " + allowed);
    }

    @Test
    void anUnknownPropertyIsRefused() {
        try {
            assertThatIllegalArgumentException()
                    .isThrownBy(() -> with("check", "races"))
                    .withMessage("-D%scheck=races: the simulator has no such setting; it has %s{%s}"
                            .formatted(
                                    PREFIX,
                                    PREFIX,
                                    Arrays.stream(NAMES).sorted().collect(joining(", "))));
        } finally {
            System.clearProperty(PREFIX + "check");
        }
    }

    @Test
    void valuesOutOfRangeAreRefused() {
        SimulatorSettings settings = SimulatorSettings.fromSystemProperties();
        assertThatIllegalArgumentException().isThrownBy(() -> settings.withThreads(0));
        assertThatIllegalArgumentException().isThrownBy(() -> settings.withBarriers(0));
        assertThatIllegalArgumentException().isThrownBy(() -> settings.withLoopSeconds(0));
        assertThatIllegalArgumentException().isThrownBy(() -> settings.withLocalMemory(-1));
        assertThatIllegalArgumentException().isThrownBy(() -> settings.withDevices(0));
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

    /** Files of arguments have switches that the simulator knows; their page names all of those. */
    @Test
    void filesOfArgumentsAndTheirPageHaveTheSwitches() throws IOException {
        String page = Files.readString(Path.of("tornado-config/README.md"));
        List<String> switches = Arrays.stream(SimulatorSettings.class.getRecordComponents())
                .map(RecordComponent::getName)
                .toList();
        assertThat(switches)
                .containsExactlyInAnyOrder(NAMES)
                .allSatisfy(name -> assertThat(page).contains("`" + name + "`"));
        String option = "-D" + PREFIX;
        assertThat(Files.readAllLines(Path.of("tornado-config/simulator.args")))
                .filteredOn(line -> line.startsWith(option))
                .isNotEmpty()
                .allSatisfy(line -> with(
                        line.substring(option.length(), line.indexOf('=')), line.substring(line.indexOf('=') + 1)));
    }
}
