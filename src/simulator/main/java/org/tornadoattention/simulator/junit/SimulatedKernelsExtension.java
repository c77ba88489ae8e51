package org.tornadoattention.simulator.junit;

import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionConfigurationException;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.AnnotationSupport;
import org.tornadoattention.simulator.Check;
import org.tornadoattention.simulator.KernelStatistics;
import org.tornadoattention.simulator.Simulator;
import org.tornadoattention.simulator.SimulatorFaultException;
import org.tornadoattention.simulator.SimulatorSettings;

/** Does what {@link SimulatedKernels} says. */
final class SimulatedKernelsExtension implements BeforeEachCallback, AfterEachCallback, ParameterResolver {

    private static final ExtensionContext.Namespace NAMESPACE =
            ExtensionContext.Namespace.create(SimulatedKernelsExtension.class);

    @Override
    public void beforeEach(ExtensionContext context) {
        SimulatedKernels wanted = annotation(context);
        KernelRuns runs = new KernelRuns();
        Simulator.Restore settings = Simulator.configure(settings(wanted));
        Simulator.Restore statistics = Simulator.listen(runs::ran);
        Simulator.Restore faults = Simulator.listenToFaults(runs::failed);
        context.getStore(NAMESPACE).put(Run.class, new Run(runs, List.of(faults, statistics, settings)));
    }

    @Override
    public void afterEach(ExtensionContext context) {
        Run run = context.getStore(NAMESPACE).remove(Run.class, Run.class);
        run.restores.forEach(Simulator.Restore::close);
        Optional<Throwable> thrown = context.getExecutionException();
        List<SimulatorFaultException> unseen = run.runs.faults().stream()
                .filter(fault -> thrown.isEmpty() || !isBehind(fault, thrown.get()))
                .toList();
        if (!unseen.isEmpty()) {
            AssertionError failure = new AssertionError(
                    "The simulator found a fault that the test, or the code under test, did not let through: "
                            + unseen.getFirst().getMessage(),
                    unseen.getFirst());
            unseen.stream().skip(1).forEach(failure::addSuppressed);
            throw failure;
        }
        for (KernelStatistics statistics : run.runs.all()) {
            if (!statistics.counted()) {
                throw new AssertionError(
                        "Kernel " + statistics.kernel() + " of task " + statistics.task()
                                + " ran without checks, since its method was not found: pass a static method to the task graph");
            }
        }
    }

    private static boolean isBehind(Throwable fault, Throwable thrown) {
        for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
            if (cause == fault) {
                return true;
            }
        }
        return false;
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == KernelRuns.class;
    }

    @Override
    public Object resolveParameter(ParameterContext parameter, ExtensionContext context) {
        Run run = context.getStore(NAMESPACE).get(Run.class, Run.class);
        if (run == null) {
            throw new ExtensionConfigurationException(
                    "KernelRuns is known in test methods and in @BeforeEach and @AfterEach methods only");
        }
        return run.runs;
    }

    /** Returns the annotation of the method, or of the nearest class around it. */
    private static SimulatedKernels annotation(ExtensionContext context) {
        Optional<SimulatedKernels> found = Optional.empty();
        Optional<ExtensionContext> place = Optional.of(context);
        while (found.isEmpty() && place.isPresent()) {
            found = AnnotationSupport.findAnnotation(place.get().getElement(), SimulatedKernels.class);
            place = place.get().getParent();
        }
        return found.orElseThrow(() -> new ExtensionConfigurationException(
                "SimulatedKernelsExtension is for tests with the annotation @SimulatedKernels"));
    }

    private static SimulatorSettings settings(SimulatedKernels wanted) {
        Set<Check> checks = EnumSet.allOf(Check.class);
        List.of(wanted.without()).forEach(checks::remove);
        SimulatorSettings settings = Simulator.settings().withChecks(checks).withCounters(true);
        settings = wanted.seed() == 0 ? settings.withoutSeed() : settings.withSeed(wanted.seed());
        settings = wanted.localMemory() == -1 ? settings : settings.withLocalMemory(wanted.localMemory());
        return wanted.threads() == -1 ? settings : settings.withThreads(wanted.threads());
    }

    /** What is kept during a test. */
    private record Run(KernelRuns runs, List<Simulator.Restore> restores) {}
}
