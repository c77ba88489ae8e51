package org.tornadoattention.bench;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Platform;

/**
 * Where results come from.
 *
 * @param device name of the device
 * @param backend what compiled for it: {@code cuda}, {@code opencl}, …; null where nothing did
 * @param driver version of its driver; null where it has none
 * @param runtime what ran the kernels, with its version: {@code TornadoVM 5.2.0-jdk25}, {@code PyTorch 2.11.0}
 * @param clocks of an NVIDIA GPU when the run began: its multiprocessors' and memory's, and the multiprocessors'
 *     highest; null where unknown
 * @param java version of the JDK; null where there is none
 * @param system the operating system and its processor
 * @param processors hardware threads of the host
 * @param commit this project's git commit, with {@code +changes} where files differ from it; null where unknown
 * @param time when the run began, UTC
 */
public record Environment(
        String device,
        @Nullable String backend,
        @Nullable String driver,
        String runtime,
        @Nullable String clocks,
        @Nullable String java,
        String system,
        int processors,
        @Nullable String commit,
        String time) {

    /** The environment of this process with a device. */
    public static Environment of(ComputeDevice device) {
        return new Environment(
                device.name(),
                device.backend().id(),
                device.driverVersion().orElse(null),
                device.isJvm() ? "JVM engine" : Platform.current().version(),
                device.name().contains("NVIDIA") ? currentClocks().orElse(null) : null,
                System.getProperty("java.vm.name") + " " + Runtime.version(),
                "%s %s, %s"
                        .formatted(
                                System.getProperty("os.name"),
                                System.getProperty("os.version"),
                                System.getProperty("os.arch")),
                Runtime.getRuntime().availableProcessors(),
                currentCommit().orElse(null),
                Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
    }

    /** The same place at another commit, or at one that is not known. */
    Environment at(@Nullable String otherCommit) {
        return new Environment(device, backend, driver, runtime, clocks, java, system, processors, otherCommit, time);
    }

    /** Whether both measured on one kind of device; what computes on the host's processor has many names for it. */
    public boolean isSameDeviceAs(Environment other) {
        return Objects.equals(device, other.device) || isHost() && other.isHost();
    }

    private boolean isHost() {
        return "cpu".equals(backend) || "simulator".equals(backend) || "jvm".equals(backend);
    }

    /** Device and runtime in a line. */
    public String describe() {
        return "%s, %s%s%s"
                .formatted(
                        device,
                        runtime,
                        backend == null || backend.equals("simulator") ? "" : " (" + backend + ")",
                        driver == null ? "" : ", driver " + driver);
    }

    /** The commit that is checked out where this program was built, or what {@code ATTENTION_COMMIT} says it is. */
    private static Optional<String> currentCommit() {
        String given = System.getenv("ATTENTION_COMMIT");
        if (given != null && !given.isBlank()) {
            return Optional.of(given.strip());
        }
        return git("rev-parse", "--short=12", "HEAD")
                .map(commit -> commit
                        + (git("status", "--porcelain", "--untracked-files=no")
                                        .orElse("")
                                        .isEmpty()
                                ? ""
                                : "+changes"));
    }

    /** What git prints in the directory of this program's classes, empty without git or outside a checkout of it. */
    private static Optional<String> git(String... arguments) {
        try {
            Path home = Path.of(Environment.class
                    .getProtectionDomain()
                    .getCodeSource()
                    .getLocation()
                    .toURI());
            String[] command = new String[arguments.length + 3];
            command[0] = "git";
            command[1] = "-C";
            command[2] = (Files.isDirectory(home) ? home : home.resolveSibling(".")).toString();
            System.arraycopy(arguments, 0, command, 3, arguments.length);
            return output(command);
        } catch (URISyntaxException e) {
            return Optional.empty();
        }
    }

    private static Optional<String> currentClocks() {
        return output("nvidia-smi", "--query-gpu=clocks.sm,clocks.mem,clocks.max.sm", "--format=csv,noheader")
                .flatMap(text -> text.lines().findFirst());
    }

    /** What a program prints, empty without it or where it fails. */
    private static Optional<String> output(String... command) {
        try {
            Process process = new ProcessBuilder(command)
                    .redirectError(ProcessBuilder.Redirect.DISCARD)
                    .start();
            process.getOutputStream().close();
            String text = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0
                    ? Optional.of(text)
                    : Optional.empty();
        } catch (IOException e) {
            return Optional.empty();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return Optional.empty();
        }
    }
}
