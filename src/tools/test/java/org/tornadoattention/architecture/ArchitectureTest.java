package org.tornadoattention.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeModel;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.LineNumber;
import java.util.Arrays;
import java.util.IntSummaryStatistics;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.DistributedAttention;
import org.tornadoattention.DividedPass;
import org.tornadoattention.FlashAttention;
import org.tornadoattention.cli.Main;
import org.tornadoattention.device.Platform;
import org.tornadoattention.kernel.TiledFlashAttention;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/** Imports run downward only, and TornadoVM is touched where it is meant to be. */
class ArchitectureTest {

    private static final String ROOT = "org.tornadoattention";
    private static final String TORNADO_VM = "uk.ac.manchester.tornado.api";

    /** Lines that the body of a method of a kernel may have. */
    private static final int MOST_LINES = 250;

    /** The classes of the library, of the tools and, without an SDK, of the simulator. */
    private static final JavaClasses CLASSES = new ClassFileImporter()
            .importUrls(Stream.of(FlashAttention.class, Main.class, TornadoExecutionPlan.class)
                    .filter(type -> type != TornadoExecutionPlan.class
                            || Platform.current().simulator())
                    .map(type -> type.getProtectionDomain().getCodeSource().getLocation())
                    .toList());

    /**
     * The entrance; all else in the root package are values that say what is computed, what came and what went wrong.
     */
    private static final DescribedPredicate<JavaClass> FACE =
            belongToAnyOf(FlashAttention.class, DistributedAttention.class, DividedPass.class);

    /** What is in the kernels' room, but for the annotations on their parameters and what is said of packages. */
    private static final DescribedPredicate<JavaClass> KERNELS = DescribedPredicate.describe(
            "are kernels",
            type -> type.getPackageName().startsWith(ROOT + ".kernel")
                    && !type.isAnnotation()
                    && !type.getSimpleName().equals("package-info"));

    private static DescribedPredicate<JavaClass> floor(String name) {
        return switch (name) {
            case "" -> DescribedPredicate.alwaysFalse();
            case "values" -> resideInAPackage(ROOT).and(not(FACE));
            case "face" -> FACE;
            default -> resideInAPackage(ROOT + "." + name + "..");
        };
    }

    /** Of this project, each floor uses itself and the floors that stand behind it here. */
    @ParameterizedTest
    @CsvSource(
            delimiter = ':',
            value = {
                "kernel.parts : intrinsic",
                "intrinsic : ''",
                "kernel    : intrinsic",
                "forge     : kernel function internal",
                "internal  : ''",
                "file      : ''",
                "tensor    : file internal",
                "device    : intrinsic internal",
                "values    : device tensor internal",
                "function  : kernel intrinsic tensor values internal",
                "reference : tensor values internal function",
                "vector    : function kernel.parts device tensor values internal",
                "choice    : kernel device tensor values internal function",
                "plan      : vector choice forge kernel device tensor values internal function",
                "decode    : vector plan choice forge kernel device tensor values internal function",
                "cache     : vector decode choice device tensor values internal function",
                "face      : cache plan choice device tensor values internal",
                "bench     : file face cache choice forge kernel device reference tensor values",
                "report    : file bench choice tensor values",
                "cli       : file report bench face choice device reference tensor values",
            })
    void importsRunDownward(String name, String lower) {
        DescribedPredicate<JavaClass> allowed = floor(name);
        for (String floor : lower.split(" ")) {
            allowed = allowed.or(floor(floor));
        }
        noClasses()
                .that(floor(name))
                .should()
                .dependOnClassesThat(resideInAPackage(ROOT + "..").and(not(allowed)))
                .because("the floor '%s' uses only: %s".formatted(name, lower))
                .check(CLASSES);
    }

    @Test
    void everyClassIsOnAFloor() {
        classes()
                .that(resideInAPackage(ROOT + "..").and(not(resideInAPackage(ROOT + ".simulator.."))))
                .should()
                .resideInAnyPackage(Arrays.stream(new String[] {
                            "",
                            ".kernel.parts",
                            ".intrinsic",
                            ".kernel",
                            ".forge",
                            ".function",
                            ".file",
                            ".tensor",
                            ".device",
                            ".reference",
                            ".choice",
                            ".vector",
                            ".plan",
                            ".decode",
                            ".cache",
                            ".internal",
                            ".bench",
                            ".report",
                            ".cli",
                            ".cuda"
                        })
                        .map(floor -> ROOT + floor)
                        .toArray(String[]::new))
                .check(CLASSES);
    }

    @Test
    void theLibraryAndTheSimulatorDoNotKnowEachOther() {
        DescribedPredicate<JavaClass> simulator = resideInAPackage(ROOT + ".simulator..");
        DescribedPredicate<JavaClass> library = resideInAPackage(ROOT + "..").and(not(simulator));
        noClasses().that(library).should().dependOnClassesThat(simulator).check(CLASSES);
        noClasses()
                .that(simulator.or(resideInAPackage(TORNADO_VM + "..")))
                .should()
                .dependOnClassesThat(library)
                .allowEmptyShould(true)
                .check(CLASSES);
    }

    @Test
    @EnabledIfSystemProperty(named = "attention.mode", matches = "simulator")
    void onlyItsOwnTestsKnowTheSimulator() {
        DescribedPredicate<JavaClass> simulator = resideInAPackage(ROOT + ".simulator..");
        noClasses()
                .that(not(simulator))
                .should()
                .dependOnClassesThat(simulator)
                .because("the library's tests compile with an SDK too, where there is no simulator")
                .check(new ClassFileImporter().importPath("target/tornado-attention/test-classes"));
    }

    @Test
    void onlyPlansDevicesAndBenchmarksRunTornadoVm() {
        noClasses()
                .that(resideInAPackage(ROOT + "..")
                        .and(not(resideInAnyPackage(
                                ROOT + ".plan..",
                                ROOT + ".decode..",
                                ROOT + ".device..",
                                ROOT + ".bench..",
                                ROOT + ".simulator.."))))
                .should()
                .dependOnClassesThat(belongToAnyOf(TornadoExecutionPlan.class, TornadoRuntimeProvider.class))
                .because("a move to another TornadoVM must be a small change")
                .check(CLASSES);
    }

    @Test
    void kernelsUseWhatTornadoVmCompilesAndNothingElse() {
        noClasses()
                .that(KERNELS)
                .should()
                .dependOnClassesThat(not(resideInAnyPackage(
                        ROOT + ".kernel..",
                        ROOT + ".intrinsic..",
                        "java.lang",
                        TORNADO_VM,
                        TORNADO_VM + ".annotations",
                        TORNADO_VM + ".enums",
                        TORNADO_VM + ".math",
                        TORNADO_VM + ".types..")))
                .check(CLASSES);
    }

    @Test
    void kernelClassesHaveStaticMembersOnlyAndNoState() {
        classes().that(KERNELS).should().haveModifier(JavaModifier.FINAL).check(CLASSES);
        classes()
                .that(KERNELS)
                .should()
                .haveOnlyPrivateConstructors()
                .andShould()
                .haveOnlyFinalFields()
                .check(CLASSES);
        methods().that().areDeclaredInClassesThat(KERNELS).should().beStatic().check(CLASSES);
        assertThat(CLASSES.stream()
                        .filter(KERNELS)
                        .flatMap(kernel -> kernel.getFields().stream())
                        .filter(field -> !field.getModifiers().contains(JavaModifier.STATIC)))
                .isEmpty();
    }

    /**
     * What a task may be made of: a public static method that returns nothing; others only tell numbers, but for the
     * parts.
     */
    @Test
    void whatTakesArraysIsAKernel() {
        DescribedPredicate<JavaClass> kernels = KERNELS.and(not(floor("kernel.parts")));
        methods()
                .that()
                .areDeclaredInClassesThat(kernels)
                .and()
                .arePublic()
                .and(takeArrays())
                .should()
                .haveRawReturnType(void.class)
                .check(CLASSES);
        methods()
                .that()
                .areDeclaredInClassesThat(kernels)
                .and()
                .arePublic()
                .and(not(takeArrays()))
                .should()
                .haveRawReturnType(int.class)
                .check(CLASSES);
    }

    /** A kernel reads as its paper's algorithm: what is longer is divided into phases. */
    @Test
    void noMethodOfAKernelIsLongerThanAReaderCanHold() {
        List<String> longer = CLASSES.stream()
                .filter(KERNELS)
                .flatMap(kernel -> lengths(kernel).entrySet().stream())
                .filter(method -> method.getValue() > MOST_LINES)
                .map(method -> method.getKey() + ": " + method.getValue() + " lines")
                .toList();
        assertThat(longer).isEmpty();
        assertThat(lengths(CLASSES.get(TiledFlashAttention.class)))
                .as("the lines of a kernel are seen")
                .anySatisfy((method, lines) -> assertThat(lines).isGreaterThan(MOST_LINES / 2));
    }

    /** The lines from a method's first instruction to its last, by the table in the class file. */
    private static Map<String, Integer> lengths(JavaClass type) {
        try (InputStream file = type.getSource().orElseThrow().getUri().toURL().openStream()) {
            Map<String, Integer> lengths = new TreeMap<>();
            for (MethodModel method : ClassFile.of().parse(file.readAllBytes()).methods()) {
                IntSummaryStatistics lines = method.code().stream()
                        .flatMap(CodeModel::elementStream)
                        .filter(LineNumber.class::isInstance)
                        .mapToInt(element -> ((LineNumber) element).line())
                        .summaryStatistics();
                String name = type.getSimpleName() + "." + method.methodName() + method.methodType();
                lengths.put(name, lines.getCount() == 0 ? 0 : lines.getMax() - lines.getMin());
            }
            return lengths;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static DescribedPredicate<JavaMethod> takeArrays() {
        return DescribedPredicate.describe(
                "take arrays",
                method -> method.getRawParameterTypes().stream()
                        .anyMatch(type -> type.getPackageName().equals(TORNADO_VM + ".types.arrays")));
    }
}
