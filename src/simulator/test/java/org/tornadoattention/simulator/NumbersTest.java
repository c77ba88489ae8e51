package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;

/** NaN that a kernel makes, and sums in halves: faults where somebody asks for it. */
class NumbersTest {

    static void quotients(FloatArray in, FloatArray out, float factor) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, factor * in.get(i) / in.get(i));
        }
    }

    static void wideQuotients(DoubleArray in, DoubleArray out) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            out.set(i, in.get(i) / in.get(i));
        }
    }

    static void sums(HalfFloatArray in, FloatArray out, int steps) {
        for (@Parallel int i = 0; i < in.getSize(); i++) {
            HalfFloat sum = new HalfFloat(0f);
            for (int step = 0; step < steps; step++) {
                sum = HalfFloat.add(sum, in.get(i));
            }
            out.set(i, sum.getFloat32());
        }
    }

    private static SimulatorFaultException watched(TaskGraph graph) {
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withNumbers(true))) {
            return Plans.fault(graph);
        }
    }

    private static TaskGraph quotients(float factor, float... values) {
        FloatArray in = FloatArray.fromElements(values);
        FloatArray out = new FloatArray(values.length);
        return new TaskGraph("numbers")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", NumbersTest::quotients, in, out, factor)
                .transferToHost(EVERY_EXECUTION, out);
    }

    @Test
    void nanOfFiniteNumbers() {
        SimulatorFaultException fault = watched(quotients(1f, 1f, 0f, 2f));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_A_NUMBER);
        assertThat(fault)
                .hasMessageStartingWith("NaN made of numbers: in kernel quotients (NumbersTest.java:")
                .hasMessageContaining(
                        "work-item (i = 1) writes NaN to out[1], and all that the kernel was given is finite");
        DoubleArray in = new DoubleArray(4);
        DoubleArray out = new DoubleArray(4);
        assertThat(watched(new TaskGraph("wide")
                                .transferToDevice(EVERY_EXECUTION, in)
                                .task("kernel", NumbersTest::wideQuotients, in, out))
                        .kind())
                .isEqualTo(FaultKind.NOT_A_NUMBER);
    }

    @Test
    void nanOfWhatIsNotFiniteIsAsItShouldBe() {
        assertThat(watched(quotients(1f, 1f, 0f, Float.NaN))).isNull();
        assertThat(watched(quotients(1f, 1f, 0f, Float.POSITIVE_INFINITY))).isNull();
        assertThat(watched(quotients(Float.NaN, 1f, 2f))).isNull();
        assertThat(watched(quotients(1f, 1f, 2f))).isNull();
        assertThat(Plans.fault(quotients(1f, 1f, 0f))).as("nobody asked").isNull();
    }

    private static TaskGraph sums(int steps) {
        HalfFloatArray in = HalfFloatArray.fromElements(new HalfFloat(1f), new HalfFloat(0f));
        FloatArray out = new FloatArray(2);
        return new TaskGraph("sums")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", NumbersTest::sums, in, out, steps)
                .transferToHost(EVERY_EXECUTION, out);
    }

    @Test
    void sumsOfHalves() {
        assertThat(watched(sums(2048))).isNull();
        SimulatorFaultException fault = watched(sums(2049));
        assertThat(fault.kind()).isEqualTo(FaultKind.LOST_ADDEND);
        assertThat(fault).hasMessageContaining("work-item (i = 0) adds 1.0 to the half 2048.0, which stays 2048.0");
        assertThat(Plans.fault(sums(2049))).as("nobody asked").isNull();
        assertThat(HalfFloat.add(new HalfFloat(2048f), new HalfFloat(1f)).getFloat32())
                .as("the host is not watched")
                .isEqualTo(2048f);
    }
}
