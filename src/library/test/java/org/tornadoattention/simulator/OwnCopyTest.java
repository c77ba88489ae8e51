package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.TornadoExecutionPlan;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Which tasks share a copy of a kernel. The JVM compiles a copy by what it has seen it do, so a task that is run again
 * and again, as a benchmark does, must not have one that tasks with other numbers have used. The first tier of
 * compiling learns nothing, so that all tasks share one copy where it is alone.
 */
@Tag("second-tier")
class OwnCopyTest {

    /** A copy has statics of its own, so that this counts the runs of one. */
    private static int runs;

    static void countsRuns(IntArray out, int mask) {
        runs++;
        out.set(0, runs);
        out.set(1, mask);
    }

    /** A plan with one task, and its result. */
    private record Masked(TornadoExecutionPlan plan, IntArray out) {

        static Masked with(int mask) {
            IntArray out = new IntArray(2);
            TaskGraph graph = new TaskGraph("graph")
                    .transferToDevice(EVERY_EXECUTION, out)
                    .task("kernel", OwnCopyTest::countsRuns, out, mask)
                    .transferToHost(EVERY_EXECUTION, out);
            return new Masked(new TornadoExecutionPlan(graph.snapshot()), out);
        }

        int run() {
            plan.execute();
            return out.get(0);
        }
    }

    @Test
    void isWhatATaskThatIsRunAgainAndAgainHas() {
        // A device has no statics, and no kernel may touch them where that is looked for.
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutChecks())) {
            Masked causal = Masked.with(0);
            Masked full = Masked.with(1);
            for (int shared = 1; shared <= 6; shared += 2) {
                assertThat(causal.run()).isEqualTo(shared);
                assertThat(full.run()).isEqualTo(shared + 1);
            }
            for (int own = 1; own <= 3; own++) {
                assertThat(causal.run()).isEqualTo(own);
                assertThat(full.run()).isEqualTo(own);
            }
            assertThat(Masked.with(2).run()).isEqualTo(7);
        }
    }
}
