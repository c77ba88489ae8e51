package org.tornadoattention.simulator.junit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.tornadoattention.simulator.FaultKind;
import org.tornadoattention.simulator.Simulator;
import org.tornadoattention.simulator.SimulatorSettings;
import uk.ac.manchester.tornado.api.common.TornadoFunctions.Task2;
import uk.ac.manchester.tornado.api.exceptions.TornadoExecutionPlanException;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** The extension, as somebody sees it whose tests fail. */
class FailingKernelTestsTest {

    /** Tests that are to fail; run by hand below. */
    static class Failing {

        @SimulatedKernels
        @Test
        void faulty() throws TornadoExecutionPlanException {
            SimulatedKernelsTest.run(SimulatedKernelsTest::copyTooMuch);
        }

        @SimulatedKernels
        @Test
        void swallowed() {
            try {
                SimulatedKernelsTest.run(SimulatedKernelsTest::copyTooMuch);
            } catch (Exception _) {
                // as code under test does
            }
        }

        @SimulatedKernels
        @Test
        void anotherKind(KernelRuns runs) {
            runs.expectFault(FaultKind.LOCAL_RACE, () -> SimulatedKernelsTest.run(SimulatedKernelsTest::copyTooMuch));
        }

        @SimulatedKernels
        @Test
        void unchecked() throws TornadoExecutionPlanException {
            SimulatedKernelsTest.run(new Task2<>() {
                @Override
                public void apply(FloatArray in, FloatArray out) {
                    out.set(0, 1f);
                }
            });
        }

        @SimulatedKernels
        @Test
        void fine() throws TornadoExecutionPlanException {
            SimulatedKernelsTest.run(SimulatedKernelsTest::copy);
        }
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "faulty | index out of bounds: in kernel copyTooMuch",
                "swallowed | did not let through: index out of bounds: in kernel copyTooMuch",
                "anotherKind | expected a fault of kind LOCAL_RACE; found was OUT_OF_BOUNDS",
                "unchecked | of task graph.task ran without checks, since its method was not found",
                "fine |"
            })
    void whatFails(String method, String message) {
        SimulatorSettings before = Simulator.settings();
        List<Throwable> failures = new ArrayList<>();
        LauncherFactory.create(LauncherConfig.builder()
                        .enableTestExecutionListenerAutoRegistration(false)
                        .enableLauncherSessionListenerAutoRegistration(false)
                        .build())
                .execute(
                        LauncherDiscoveryRequestBuilder.request()
                                .selectors(selectMethod(
                                        Failing.class,
                                        Arrays.stream(Failing.class.getDeclaredMethods())
                                                .filter(test -> test.getName().equals(method))
                                                .findFirst()
                                                .orElseThrow()))
                                .build(),
                        new TestExecutionListener() {
                            @Override
                            public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                                result.getThrowable().ifPresent(failures::add);
                            }
                        });
        if (message == null) {
            assertThat(failures).isEmpty();
        } else {
            assertThat(failures)
                    .singleElement()
                    .satisfies(failure -> assertThat(failure).hasMessageContaining(message));
        }
        assertThat(Simulator.settings()).isEqualTo(before);
    }
}
