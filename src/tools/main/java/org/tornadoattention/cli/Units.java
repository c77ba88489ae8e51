package org.tornadoattention.cli;

import java.time.Duration;

/** Quantities with three significant digits and the unit that suits them. */
final class Units {

    private static final String[] BINARY = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    private static final String[] RATES = {"FLOP/s", "kFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"};

    private Units() {}

    /** A number of bytes, such as {@code 64.0 KiB}. */
    static String bytes(long bytes) {
        return bytes < 1024 ? bytes + " bytes" : scaled(bytes, 1024, BINARY);
    }

    /** A time, such as {@code 12.3 ms}. */
    static String time(Duration time) {
        double nanos = time.toNanos();
        if (nanos < 1e6) {
            return digits(nanos / 1e3) + " µs";
        }
        return nanos < 1e9 ? digits(nanos / 1e6) + " ms" : digits(nanos / 1e9) + " s";
    }

    /** Floating-point operations per second, such as {@code 4.56 GFLOP/s}. */
    static String rate(double flops, Duration time) {
        return scaled(flops / (time.toNanos() / 1e9), 1000, RATES);
    }

    /** A number of milliseconds, such as {@code 12.3 ms}. */
    static String milliseconds(double milliseconds) {
        return time(Duration.ofNanos(Math.round(1e6 * milliseconds)));
    }

    /** Operations per second from units of 10¹². */
    static String rate(double teraflops) {
        return scaled(1e12 * teraflops, 1000, RATES);
    }

    private static String scaled(double value, int step, String[] units) {
        int unit = 0;
        double rest = value;
        while (rest >= step && unit < units.length - 1) {
            rest /= step;
            unit++;
        }
        return digits(rest) + " " + units[unit];
    }

    /** A number with three significant digits, as long as it is below 1000. */
    static String digits(double value) {
        int decimals = value < 10 ? 2 : value < 100 ? 1 : 0;
        return ("%." + decimals + "f").formatted(value);
    }
}
