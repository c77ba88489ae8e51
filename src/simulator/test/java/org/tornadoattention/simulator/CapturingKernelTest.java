package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.annotations.Parallel;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** Lambdas that capture, and kernels that are instance methods: checked and counted like static methods. */
class CapturingKernelTest {

    /** An object with a kernel. */
    private static class Scaler {

        private final float factor;
        private final int[] steps = {1, 2};
        private final FloatArray unused = new FloatArray(1);

        Scaler(float factor) {
            this.factor = factor;
        }

        void scale(FloatArray in, FloatArray out) {
            for (@Parallel int i = 0; i < in.getSize(); i++) {
                out.set(i, factor * in.get(i) + steps[1]);
            }
        }

        void reverse(KernelContext context, FloatArray in, FloatArray out) {
            float[] tile = context.allocateFloatLocalArray(32);
            tile[context.localIdx] = factor * in.get(context.globalIdx);
            if (factor > 0f) {
                context.localBarrier();
            }
            out.set(context.globalIdx, tile[31 - context.localIdx]);
        }

        void callsAnother(FloatArray in, FloatArray out) {
            for (@Parallel int i = 0; i < in.getSize(); i++) {
                out.set(i, own(in.get(i)));
            }
        }

        private float own(float value) {
            return value * factor;
        }
    }

    private static final class ScalerOfAnotherClass extends Scaler {

        ScalerOfAnotherClass() {
            super(7f);
        }
    }

    static void plusTwice(FloatArray out, float value) {
        out.set(0, value + value);
    }

    private static FloatArray numbers() {
        FloatArray array = new FloatArray(32);
        for (int i = 0; i < array.getSize(); i++) {
            array.set(i, i + 1);
        }
        return array;
    }

    @Test
    void aLambdaThatCapturesNumbersAndArrays() {
        FloatArray in = numbers();
        FloatArray out = new FloatArray(32);
        float factor = Float.parseFloat("4");
        KernelStatistics statistics = Plans.run(new TaskGraph("captures")
                .transferToDevice(EVERY_EXECUTION, in)
                .task(
                        "kernel",
                        to -> {
                            for (@Parallel int i = 0; i < to.getSize(); i++) {
                                to.set(i, factor * in.get(i));
                            }
                        },
                        out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.get(31)).isEqualTo(128f);
        assertThat(statistics.counted()).isTrue();
        assertThat(statistics.array("in").elementsRead()).isEqualTo(32);
        assertThat(statistics.array("to").elementsWritten()).isEqualTo(32);
        KernelStatistics called = Plans.run(new TaskGraph("captures")
                .task("kernel", array -> plusTwice(array, factor), out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.get(0)).isEqualTo(8f);
        assertThat(called.counted()).isTrue();
    }

    @Test
    void aCapturedArrayIsOneOfTheDevice() {
        FloatArray captured = numbers();
        FloatArray out = new FloatArray(32);
        SimulatorFaultException fault = Plans.fault(new TaskGraph("forgotten")
                .task("kernel", (FloatArray to) -> to.set(0, captured.get(3)), out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(fault.kind()).isEqualTo(FaultKind.NOT_ON_DEVICE);
        assertThat(fault).hasMessageContaining("captured[3]");
    }

    @Test
    void whoLooksForTheMethodLeavesCapturedArraysAlone() {
        FloatArray captured = numbers();
        Plans.run(new TaskGraph("writes")
                .task(
                        "kernel",
                        (FloatArray to) -> {
                            captured.set(0, 99f);
                            to.set(0, 1f);
                        },
                        new FloatArray(1)));
        try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withoutChecks())) {
            Plans.run(new TaskGraph("writes")
                    .task(
                            "kernel",
                            (FloatArray to) -> {
                                captured.set(1, 99f);
                                to.set(0, 1f);
                            },
                            new FloatArray(1)));
        }
        captured.set(2, 3f);
        assertThat(captured.get(0)).isEqualTo(1f);
        assertThat(captured.get(1)).isEqualTo(2f);
    }

    @Test
    void anInstanceMethodIsCheckedAndSeesItsFields() {
        FloatArray in = numbers();
        FloatArray out = new FloatArray(32);
        for (Scaler scaler : new Scaler[] {new Scaler(3f), new ScalerOfAnotherClass(), new Scaler(5f)}) {
            KernelStatistics statistics = Plans.run(new TaskGraph("instance")
                    .transferToDevice(EVERY_EXECUTION, in)
                    .task("kernel", scaler::scale, in, out)
                    .transferToHost(EVERY_EXECUTION, out));
            assertThat(out.get(9)).isEqualTo(10f * scaler.factor + 2f);
            assertThat(statistics.counted()).isTrue();
            assertThat(statistics.array("in").elementsRead()).isEqualTo(32);
        }
    }

    @Test
    void anInstanceMethodThatForgetsABarrier() {
        FloatArray in = numbers();
        FloatArray out = new FloatArray(32);
        Scaler right = new Scaler(1f);
        Scaler wrong = new Scaler(-1f);
        Plans.run(
                new TaskGraph("right")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", right::reverse, new KernelContext(), in, out)
                        .transferToHost(EVERY_EXECUTION, out),
                Plans.grid(32, 32));
        assertThat(out.get(0)).isEqualTo(32f);
        SimulatorFaultException fault = Plans.fault(
                new TaskGraph("wrong")
                        .transferToDevice(EVERY_EXECUTION, in)
                        .task("kernel", wrong::reverse, new KernelContext(), in, out),
                Plans.grid(32, 32));
        assertThat(fault.kind()).isIn(FaultKind.LOCAL_RACE, FaultKind.UNINITIALIZED_LOCAL);
        assertThat(fault).hasMessageContaining("in kernel reverse (CapturingKernelTest.java:");
    }

    @Test
    void anInstanceMethodThatCallsOthersRunsUnchecked() {
        FloatArray in = numbers();
        FloatArray out = new FloatArray(32);
        Scaler scaler = new Scaler(2f);
        KernelStatistics statistics = Plans.run(new TaskGraph("others")
                .transferToDevice(EVERY_EXECUTION, in)
                .task("kernel", scaler::callsAnother, in, out)
                .transferToHost(EVERY_EXECUTION, out));
        assertThat(out.get(4)).isEqualTo(10f);
        assertThat(statistics.counted()).isFalse();
    }
}
