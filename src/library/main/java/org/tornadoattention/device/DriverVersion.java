package org.tornadoattention.device;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The version of a driver. TornadoVM's common interface does not pass it on: NVIDIA's is in a file of the kernel's,
 * others are asked of the backend's own class.
 */
final class DriverVersion {

    private static final Path NVIDIA = Path.of("/proc/driver/nvidia/version");
    private static final Pattern NVIDIA_VERSION = Pattern.compile("NVRM version:.*?\\s(\\d+\\.\\d+(?:\\.\\d+)*)\\s");

    private DriverVersion() {}

    static Optional<String> of(ComputeDevice device) {
        if (device.isSimulator() || device.isJvm()) {
            return Optional.empty();
        }
        return device.name().contains("NVIDIA") ? nvidia().or(() -> reported(device)) : reported(device);
    }

    private static Optional<String> nvidia() {
        try {
            return nvidia(Files.readString(NVIDIA));
        } catch (IOException e) {
            return Optional.empty();
        }
    }

    static Optional<String> nvidia(String text) {
        Matcher version = NVIDIA_VERSION.matcher(text);
        return version.find() ? Optional.of(version.group(1)) : Optional.empty();
    }

    private static Optional<String> reported(ComputeDevice device) {
        Object physical = device.handle().getPhysicalDevice();
        try {
            Object version = physical.getClass().getMethod("getDriverVersion").invoke(physical);
            return Optional.ofNullable(version).map(text -> String.valueOf(text).strip());
        } catch (NoSuchMethodException | IllegalAccessException | InvocationTargetException e) {
            return Optional.empty();
        }
    }
}
