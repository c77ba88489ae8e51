package uk.ac.manchester.tornado.api.runtime;

import org.tornadoattention.simulator.engine.SimulatedRuntime;
import uk.ac.manchester.tornado.api.TornadoRuntime;

/** The way to the runtime and its settings. */
@SuppressWarnings("missing-explicit-ctor") // as in TornadoVM
public class TornadoRuntimeProvider {

    /** Returns the runtime. */
    public static TornadoRuntime getTornadoRuntime() {
        return SimulatedRuntime.instance();
    }

    /** Returns whether profiles are taken without being asked for. */
    public static boolean isProfilerEnabled() {
        return getTornadoRuntime().isProfilerEnabled();
    }

    /** Returns whether power is measured. */
    public static boolean isPowerMonitoringEnabled() {
        return getTornadoRuntime().isPowerMonitoringEnabled();
    }

    /** Sets a setting; settings are system properties. */
    public static void setProperty(String key, String value) {
        System.setProperty(key, value);
    }

    /** Returns a setting, or {@code value} if it is not set. */
    public static String getProperty(String key, String value) {
        return System.getProperty(key, value);
    }

    /** Returns a setting, or null. */
    public static String getProperty(String key) {
        return System.getProperty(key);
    }
}
