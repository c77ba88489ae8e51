package org.tornadoattention.devicetext;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;

/**
 * What TornadoVM generates for each kernel is what it generated when its speed was last measured: a change of a kernel
 * that was meant to change nothing cannot make it slower unseen.
 *
 * <p>The goldens, one file for each kind of device, have a line for each kernel: problem and kernel, the digest of its
 * text, and how many statements of each kind it has. Where a text changes for a reason, measure the kernel, name the
 * reason in {@code docs/performance.md}, and copy what this test wrote into {@code target/device-text} over the golden
 * file. To see the whole difference, run this test in two checkouts and compare the texts that it leaves there.
 * {@code -Dattention.texts} asks for some kernels only, such as {@code warp-group,split-key}.
 */
class DeviceTextTest {

    private static final String FOLDER = "/device-text/";
    private static final Path TARGET = Path.of("target", "device-text");

    @TestFactory
    Stream<DynamicTest> theTextOfEachKernelIsAsItWas() {
        List<ComputeDevice> devices = Devices.all().stream()
                .filter(device -> !device.isSimulator() && !device.isJvm())
                .toList();
        assumeFalse(devices.isEmpty(), "the simulator and the JVM engine run Java and generate no text");
        return devices.stream()
                .collect(Collectors.toMap(DeviceTextTest::kind, device -> device, (first, _) -> first))
                .entrySet()
                .stream()
                .map(kind -> DynamicTest.dynamicTest(kind.getKey(), () -> compare(kind.getKey(), kind.getValue())));
    }

    /** What decides on tiles and types, and so on the text. */
    private static String kind(ComputeDevice device) {
        int capability = device.extension().computeCapability();
        return "%s-%dk%s%s"
                .formatted(
                        device.backend().id(),
                        device.localMemoryBytes() / 1024,
                        device.halfFloats() ? "" : "-decoded",
                        capability > 0 ? "-" + capability : "");
    }

    private static void compare(String kind, ComputeDevice device) throws IOException {
        Set<String> kernels = kernels();
        Map<String, String> golden = golden(kind);
        golden.keySet().removeIf(text -> kernels.stream().noneMatch(kernel -> isOf(text, kernel)));
        Map<String, String> actual = new TreeMap<>();
        for (Map.Entry<String, String> text :
                DeviceTexts.of(device.backend(), kernels).entrySet()) {
            CanonicalText canonical = CanonicalText.of(text.getValue());
            actual.put(text.getKey(), canonical.digest() + "\t" + canonical.summary());
            Path file = TARGET.resolve(kind).resolve(text.getKey().replace(' ', '-') + ".txt");
            Files.createDirectories(file.getParent());
            Files.write(file, canonical.lines());
        }
        if (kernels.equals(DeviceTexts.kernels())) {
            Files.write(
                    TARGET.resolve(kind + ".tsv"),
                    actual.entrySet().stream()
                            .map(line -> line.getKey() + "\t" + line.getValue())
                            .toList());
        }
        assumeTrue(!golden.isEmpty(), "there are no goldens of devices like " + device);
        assertThat(differences(golden, actual)).isEmpty();
    }

    /** The kernels asked for: all of them, if none is named. */
    private static Set<String> kernels() {
        String named = System.getProperty("attention.texts", "");
        if (named.isEmpty()) {
            return DeviceTexts.kernels();
        }
        Set<String> kernels = new TreeSet<>(List.of(named.split(",")));
        assertThat(DeviceTexts.kernels()).containsAll(kernels);
        return kernels;
    }

    /** Whether a problem, such as {@code forward tiled F16 64 attention 1}, is one of a kernel. */
    private static boolean isOf(String problem, String kernel) {
        return List.of(problem.split(" ")).contains(kernel);
    }

    private static List<String> differences(Map<String, String> golden, Map<String, String> actual) {
        List<String> differences = new ArrayList<>();
        golden.forEach((kernel, text) -> {
            if (!actual.containsKey(kernel)) {
                differences.add(kernel + ": no longer generated");
            } else if (!actual.get(kernel).equals(text)) {
                differences.add("%s:%n  was %s%n  is  %s".formatted(kernel, text, actual.get(kernel)));
            }
        });
        actual.keySet().stream()
                .filter(kernel -> !golden.containsKey(kernel))
                .forEach(kernel -> differences.add(kernel + ": new"));
        return differences;
    }

    private static Map<String, String> golden(String kind) throws IOException {
        try (InputStream file = DeviceTextTest.class.getResourceAsStream(FOLDER + kind + ".tsv")) {
            return file == null
                    ? new HashMap<>()
                    : new String(file.readAllBytes(), StandardCharsets.UTF_8)
                            .lines()
                            .map(line -> line.split("\t", 2))
                            .collect(Collectors.toMap(
                                    line -> line[0], line -> line[1], (first, _) -> first, HashMap::new));
        }
    }
}
