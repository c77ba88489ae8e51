package org.tornadoattention.device;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/**
 * What stands behind the TornadoVM API in this process: a TornadoVM SDK or the simulator.
 *
 * @param simulator whether it is the simulator
 * @param home TORNADOVM_HOME, empty where it is not set
 * @param bailout TornadoVM's {@code tornado.recover.bailout}: whether a kernel that does not compile runs as plain Java
 */
public record Platform(boolean simulator, String home, boolean bailout) {

    private static final Pattern API_JAR = Pattern.compile("tornado-api-(.+)\\.jar");

    private static final class Holder {
        private static final Platform CURRENT = new Platform(
                TornadoRuntimeProvider.getTornadoRuntime().getBackend(0).getBackendType() == TornadoVMBackendType.JAVA,
                System.getenv().getOrDefault("TORNADOVM_HOME", ""),
                !"false".equalsIgnoreCase(System.getProperty("tornado.recover.bailout", "true")));
    }

    /** The platform of this process. */
    public static Platform current() {
        return Holder.CURRENT;
    }

    /** Which platform it is and why, in a line. */
    public String describe() {
        if (!simulator) {
            return "TornadoVM" + (home.isEmpty() ? "" : " at " + home + " (TORNADOVM_HOME)");
        }
        return home.isEmpty()
                ? "the simulator on the JVM (TORNADOVM_HOME is not set)"
                : "the simulator on the JVM (its jar is on the class path; TORNADOVM_HOME=" + home + " is not used)";
    }

    /** What runs the kernels, with its version: {@code TornadoVM 5.2.0-jdk25}, {@code simulator}. */
    public String version() {
        if (simulator) {
            return "simulator";
        }
        try (Stream<Path> jars = Files.list(Path.of(home, "share", "java", "tornado"))) {
            return jars.map(jar -> API_JAR.matcher(jar.getFileName().toString()))
                    .filter(Matcher::matches)
                    .map(jar -> "TornadoVM " + jar.group(1))
                    .findFirst()
                    .orElse("TornadoVM");
        } catch (IOException e) {
            return "TornadoVM";
        }
    }

    /**
     * Refuses a TornadoVM that would hide failures.
     *
     * @throws IllegalStateException if a kernel that fails to compile would silently run as sequential Java, in which
     *     every work-item id is 0
     */
    public void requireUsable() {
        if (!simulator && bailout) {
            throw new IllegalStateException(
                    "TornadoVM would run kernels that it cannot compile as sequential Java and return wrong numbers."
                            + " Start the JVM with -Dtornado.recover.bailout=False"
                            + " (tornado-config/attention.args holds this and what else is needed).");
        }
    }
}
