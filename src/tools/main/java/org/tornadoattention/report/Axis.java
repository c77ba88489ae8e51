package org.tornadoattention.report;

import java.util.ArrayList;
import java.util.List;
import java.util.function.DoubleFunction;

/**
 * One axis of a chart: what it shows, in which unit, and how numbers become places.
 *
 * @param label what, and the unit in brackets
 * @param scale linear from 0, or logarithmic
 * @param format numbers as they stand at the ticks
 */
record Axis(String label, Scale scale, DoubleFunction<String> format) {

    /** How numbers become places. */
    enum Scale {
        /** From 0. */
        LINEAR,
        /** Ticks at powers of 2. */
        LOG2,
        /** Ticks at powers of 10. */
        LOG10;

        private double of(double value) {
            return this == LINEAR ? value : Math.log(value) / Math.log(this == LOG2 ? 2 : 10);
        }
    }

    /** An axis over some values. */
    final class Range {
        private final double low;
        private final double high;
        private final List<Double> ticks;

        private Range(double low, double high, List<Double> ticks) {
            this.low = low;
            this.high = high;
            this.ticks = ticks;
        }

        /** Where a value lies, from 0 to 1. */
        double place(double value) {
            return (scale.of(value) - low) / (high - low);
        }

        /** Numbers to be marked. */
        List<Double> ticks() {
            return ticks;
        }
    }

    /** The axis over values from the least to the greatest; for logarithmic ones both are above 0. */
    Range over(double least, double greatest) {
        List<Double> ticks = new ArrayList<>();
        if (scale == Scale.LINEAR) {
            double step = niceStep(greatest);
            double top = step * Math.max(1, Math.ceil(greatest / step - 1e-9));
            for (int i = 0; i * step <= top * (1 + 1e-9); i++) {
                ticks.add(i * step);
            }
            return new Range(0, top, ticks);
        }
        double base = scale == Scale.LOG2 ? 2 : 10;
        double low = Math.floor(scale.of(least) + 1e-9);
        double high = Math.max(low + 1, Math.ceil(scale.of(greatest) - 1e-9));
        int stride = (int) Math.max(1, Math.ceil((high - low) / 7));
        for (double power = low; power <= high; power += stride) {
            ticks.add(Math.pow(base, power));
        }
        return new Range(low, high, ticks);
    }

    /** A step of 1, 2 or 5 times a power of ten that gives four to eight ticks. */
    private static double niceStep(double greatest) {
        double step = Math.pow(10, Math.floor(Math.log10(Math.max(greatest, 1e-300))));
        double count = greatest / step;
        if (count < 2) {
            return step / 5;
        }
        return count < 5 ? step / 2 : step;
    }
}
