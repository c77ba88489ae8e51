package org.tornadoattention.report;

import java.util.List;

/**
 * A line of a chart, from left to right.
 *
 * @param name what it is, as the legend says it
 * @param style how it looks
 * @param points its points
 */
record Series(String name, Style style, List<Point> points) {

    /** How a series is drawn. */
    enum Style {
        /** A line through marked points: measured. */
        MEASURED,
        /** Marked points alone: measured. */
        POINTS,
        /** A dashed line: a formula. */
        FORMULA
    }

    /**
     * A point.
     *
     * @param x in the unit of the chart's horizontal axis
     * @param y in that of the vertical one
     * @param tip what it says when it is pointed at
     */
    record Point(double x, double y, String tip) {}
}
