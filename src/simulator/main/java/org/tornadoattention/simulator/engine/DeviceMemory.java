package org.tornadoattention.simulator.engine;

import java.util.Locale;
import java.util.concurrent.atomic.AtomicLong;
import uk.ac.manchester.tornado.api.exceptions.TornadoOutOfMemoryException;
import uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException;

/** The bytes of the simulated device's memory: what there is, and what is in use. */
final class DeviceMemory {

    private static final String CAPACITY_PROPERTY = "tornado.device.memory";
    private static final String DEFAULT_CAPACITY = "4GB";

    private final AtomicLong used = new AtomicLong();

    /** Returns the capacity, which the system property {@code tornado.device.memory} sets. */
    long capacity() {
        return parse(System.getProperty(CAPACITY_PROPERTY, DEFAULT_CAPACITY));
    }

    long used() {
        return used.get();
    }

    void allocate(long bytes) {
        long capacity = capacity();
        if (used.addAndGet(bytes) > capacity) {
            long before = used.addAndGet(-bytes);
            throw new TornadoOutOfMemoryException("The simulated device has " + capacity + " bytes of memory, " + before
                    + " in use; " + bytes + " more do not fit. Close plans that are done, or raise -D"
                    + CAPACITY_PROPERTY + " (default " + DEFAULT_CAPACITY + ")");
        }
    }

    void free(long bytes) {
        used.addAndGet(-bytes);
    }

    /** Reads sizes such as {@code 512MB}. */
    static long parse(String size) {
        String text = size.strip().toUpperCase(Locale.ROOT);
        int digits = 0;
        while (digits < text.length() && Character.isDigit(text.charAt(digits))) {
            digits++;
        }
        long unit = switch (text.substring(digits)) {
            case "", "B" -> 1L;
            case "K", "KB" -> 1L << 10;
            case "M", "MB" -> 1L << 20;
            case "G", "GB" -> 1L << 30;
            default -> 0L;
        };
        if (digits == 0 || unit == 0) {
            throw new TornadoRuntimeException("'" + size + "' is not a size; write a number and one of B, KB, MB, GB");
        }
        return Math.multiplyExact(Long.parseLong(text.substring(0, digits)), unit);
    }
}
