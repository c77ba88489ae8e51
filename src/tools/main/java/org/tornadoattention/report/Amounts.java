package org.tornadoattention.report;

/** Quantities as people read them: three significant digits and a unit. */
final class Amounts {

    private static final String[] RATES = {"FLOP/s", "kFLOP/s", "MFLOP/s", "GFLOP/s", "TFLOP/s", "PFLOP/s"};
    private static final String[] BYTES = {"B", "KiB", "MiB", "GiB", "TiB"};
    private static final String[] TIMES = {"ns", "µs", "ms", "s"};

    private Amounts() {}

    static String rate(double flopsPerSecond) {
        return scaled(flopsPerSecond, 1000, RATES);
    }

    static String bytes(double bytes) {
        return scaled(bytes, 1024, BYTES);
    }

    static String time(double milliseconds) {
        return scaled(1e6 * milliseconds, 1000, TIMES);
    }

    static String factor(double factor) {
        return digits(factor) + "×";
    }

    static String percent(double share) {
        return digits(100 * share) + " %";
    }

    /** A count such as {@code 64} or {@code 16K}. */
    static String count(double number) {
        return number >= 1024 && number % 1024 == 0 ? "%.0fK".formatted(number / 1024) : digits(number);
    }

    /** Three significant digits. */
    static String digits(double value) {
        if (value == 0) {
            return "0";
        }
        if (Math.abs(value) < 0.0005) {
            return "%.1e".formatted(value);
        }
        int decimals = value < 1 ? 3 : value < 10 ? 2 : value < 100 ? 1 : 0;
        String text = ("%." + decimals + "f").formatted(value);
        return text.contains(".") ? text.replaceAll("0+$", "").replaceAll("\\.$", "") : text;
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
}
