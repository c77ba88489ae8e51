package org.tornadoattention.plan;

/**
 * What a plan cache did so far.
 *
 * @param hits calls that found their plan: these compile nothing and allocate nothing on the device
 * @param misses calls that had to build one
 * @param plans plans held now
 */
public record PlanStatistics(long hits, long misses, int plans) {}
