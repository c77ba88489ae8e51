package org.tornadoattention.device;

import static org.tornadoattention.internal.Arguments.required;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.tornadoattention.internal.Snapshots;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.runtime.TornadoRuntimeProvider;

/**
 * What stands behind the TornadoVM API in this process: a TornadoVM SDK or the simulator.
 *
 * @param simulator whether it is the simulator
 * @param home TORNADOVM_HOME, empty where it is not set
 * @param bailout TornadoVM's {@code tornado.recover.bailout}: whether a kernel that does not compile runs as plain Java
 * @param spirvLoadStore whether there is a SPIR-V backend with TornadoVM's {@code tornado.spirv.loadstore}, its
 *     default, which compiles loops wrongly
 */
public record Platform(boolean simulator, String home, boolean bailout, boolean spirvLoadStore) {

    /**
     * Checks that there is a home.
     *
     * @throws IllegalArgumentException if it is null
     */
    public Platform {
        required(home, "home", "use an empty text where TORNADOVM_HOME is not set");
    }

    /**
     * The version of TornadoVM that this library is made for: later ones have neither PTX nor SPIR-V, and another API.
     */
    private static final String SUPPORTED = "5.2.0-jdk25";

    private static final Pattern API_JAR = Pattern.compile("tornado-api-([^/]+)\\.jar$");

    private static final class Holder {
        private static final Platform CURRENT = current(runtime());

        private static Platform current(TornadoRuntime runtime) {
            return new Platform(
                    has(runtime, TornadoVMBackendType.JAVA),
                    homeOfProcess(),
                    isOn("tornado.recover.bailout"),
                    has(runtime, TornadoVMBackendType.SPIRV) && isOn("tornado.spirv.loadstore"));
        }

        private static boolean has(TornadoRuntime runtime, TornadoVMBackendType type) {
            return IntStream.range(0, runtime.getNumBackends())
                    .anyMatch(backend -> runtime.getBackend(backend).getBackendType() == type);
        }

        /** Of a property that is on unless it is switched off. */
        private static boolean isOn(String property) {
            return !"false".equalsIgnoreCase(System.getProperty(property, "true"));
        }
    }

    /**
     * The platform of this process.
     *
     * @return the platform of this JVM
     * @throws IllegalStateException if it is a TornadoVM of a version that is not supported, or one that does not start
     *     for want of an argument of the JVM
     */
    public static Platform current() {
        runtime(); // before the holder, whose own failure would be told only once
        return Holder.CURRENT;
    }

    /** TornadoVM's runtime; what is known to keep it from starting is told in the user's terms. */
    static TornadoRuntime runtime() {
        tornadoVersion().filter(version -> !version.equals(SUPPORTED)).ifPresent(version -> {
            throw new IllegalStateException("This is TornadoVM " + version + "; supported is " + SUPPORTED
                    + ", which has the OpenCL, CUDA, PTX and SPIR-V backends: 'sdk install tornadovm " + SUPPORTED
                    + "-BACKEND' with one of opencl, cuda, ptx and spirv (SDKMAN).");
        });
        try {
            TornadoRuntime runtime = TornadoRuntimeProvider.getTornadoRuntime();
            Snapshots.watch();
            return runtime;
        } catch (RuntimeException | LinkageError e) {
            Optional<IllegalStateException> known = startFailure(e);
            if (known.isPresent()) {
                throw known.get();
            }
            throw e;
        }
    }

    /** What to do about a start that failed, where that is known. */
    static Optional<IllegalStateException> startFailure(Throwable failure) {
        for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
            if (String.valueOf(cause.getMessage()).contains("Level Zero Driver Not Found")) {
                return Optional.of(new IllegalStateException(
                        "TornadoVM's SPIR-V backend looks for a Level Zero driver, and there is none. Start the JVM with"
                                + " -Dtornado.spirv.runtimes=opencl, so that SPIR-V runs through OpenCL, and with"
                                + " -Dtornado.spirv.loadstore=False.",
                        failure));
            }
        }
        return Optional.empty();
    }

    /** {@return which platform it is and why, in a line} */
    public String describe() {
        if (!simulator) {
            return "TornadoVM" + (home.isEmpty() ? "" : " at " + home + " (TORNADOVM_HOME)");
        }
        return home.isEmpty()
                ? "the simulator on the JVM (TORNADOVM_HOME is not set)"
                : "the simulator on the JVM (its jar is on the class path; TORNADOVM_HOME=" + home + " is not used)";
    }

    /**
     * What computes on a device and why, in a line: this process's platform, or the JVM's own engine, which is there
     * where TornadoVM does not start, too.
     *
     * @param device one of {@link Devices#all()}
     * @return a clause such as {@code the JVM's vector units (TORNADOVM_HOME is not set)}
     * @throws IllegalArgumentException if it is null
     */
    public static String describe(ComputeDevice device) {
        required(device, "device", "take one of Devices.all()");
        if (!device.isJvm()) {
            return current().describe();
        }
        boolean vectors = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        return (vectors
                        ? "the JVM's vector units"
                        : "the JVM without its vector units (no --add-modules" + " jdk.incubator.vector)")
                + (homeOfProcess().isEmpty()
                        ? " (TORNADOVM_HOME is not set)"
                        : " (asked for in place of " + other() + ")");
    }

    private static String homeOfProcess() {
        return System.getenv().getOrDefault("TORNADOVM_HOME", "");
    }

    private static String other() {
        try {
            return current().describe();
        } catch (VirtualMachineError e) {
            throw e;
        } catch (RuntimeException | Error e) { // as where drivers are missing
            return "TornadoVM at " + homeOfProcess() + " (TORNADOVM_HOME), which does not start";
        }
    }

    /** {@return what runs the kernels, with its version: {@code TornadoVM 5.2.0-jdk25}, {@code simulator}} */
    public String version() {
        if (simulator) {
            return "simulator";
        }
        return tornadoVersion().map(version -> "TornadoVM " + version).orElse("TornadoVM");
    }

    /** The version that the jar of TornadoVM's API has in its name; the simulator's and a renamed one have none. */
    private static Optional<String> tornadoVersion() {
        return Optional.ofNullable(TaskGraph.class.getProtectionDomain().getCodeSource())
                .map(source -> API_JAR.matcher(source.getLocation().getPath()))
                .filter(Matcher::find)
                .map(jar -> jar.group(1));
    }

    /**
     * Refuses a TornadoVM that would hide failures, or miscompile.
     *
     * @throws IllegalStateException if a kernel that fails to compile would silently run as sequential Java, in which
     *     every work-item id is 0, or if the SPIR-V backend has an optimisation on that breaks loops
     */
    public void requireUsable() {
        if (!simulator && bailout) {
            throw new IllegalStateException(
                    "TornadoVM would run kernels that it cannot compile as sequential Java and return wrong numbers."
                            + " Start the JVM with -Dtornado.recover.bailout=False"
                            + " (tornado-config/tornadovm.args holds this and what else is needed).");
        }
        if (!simulator && spirvLoadStore) {
            throw new IllegalStateException(
                    "TornadoVM's SPIR-V backend is installed, and compiles loops wrongly as it is set. Start the JVM with"
                            + " -Dtornado.spirv.loadstore=False (tornado-config/spirv.args holds this).");
        }
    }
}
