package org.tornadoattention;

import static org.tornadoattention.internal.Arguments.required;

/**
 * What a cache of compiled plans did so far.
 *
 * @param hits calls that found their plan: these compile nothing and allocate nothing on the device
 * @param misses calls that had to build one
 * @param plans plans held now
 */
public record PlanStatistics(long hits, long misses, int plans) {

    /**
     * Both together.
     *
     * @param other those of another cache
     * @return the sums
     * @throws IllegalArgumentException if it is null
     */
    public PlanStatistics plus(PlanStatistics other) {
        required(other, "other");
        return new PlanStatistics(hits + other.hits, misses + other.misses, plans + other.plans);
    }
}
