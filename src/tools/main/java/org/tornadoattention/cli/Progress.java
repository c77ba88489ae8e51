package org.tornadoattention.cli;

import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/** A progress bar on standard error, and nothing at all where no terminal is looking. */
interface Progress extends AutoCloseable {

    /** One more step is done. */
    void step();

    /** Says what the present step is. */
    default void say(String what) {}

    @Override
    default void close() {}

    /** No bar. */
    static Progress none() {
        return () -> {};
    }

    /** A bar of a number of steps, if standard output goes to a terminal. */
    static Progress of(String task, int steps) {
        if (System.console() == null || !System.console().isTerminal()) {
            return none();
        }
        ProgressBar bar = new ProgressBarBuilder()
                .setTaskName(task)
                .setInitialMax(steps)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(200)
                .clearDisplayOnFinish()
                .build();
        return new Progress() {
            @Override
            public void step() {
                bar.step();
            }

            @Override
            public void say(String what) {
                bar.setExtraMessage(what);
            }

            @Override
            public void close() {
                bar.close();
            }
        };
    }
}
