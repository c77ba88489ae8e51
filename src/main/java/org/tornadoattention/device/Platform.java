package org.tornadoattention.device;

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
