package org.tornadoattention.simulator.engine;

/**
 * What a plan was asked to print.
 *
 * @param printKernel whether to say what runs for each task
 * @param threadInfo whether to say on which grid
 */
record PlanSettings(boolean printKernel, boolean threadInfo) {}
