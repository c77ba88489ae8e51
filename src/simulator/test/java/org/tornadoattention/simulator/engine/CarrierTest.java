package org.tornadoattention.simulator.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.simulator.engine.ContinuationCarrier.CarrierThread;

/** Continuations and virtual threads carry work-items alike. */
@Timeout(60)
class CarrierTest {

    private static Stream<Arguments> carriers() {
        return Stream.of(
                Arguments.of("threads", (Supplier<Carrier>) ThreadCarrier::new),
                Arguments.of("continuations", (Supplier<Carrier>) ContinuationCarrier::new));
    }

    private static Carrier carrier(String name, Supplier<Carrier> carrier) {
        assumeTrue(
                name.equals("threads") || Continuations.available(),
                "SKIPPED: a debugger is there, or tornado-config/simulator.args is not");
        return carrier.get();
    }

    /** Or else the simulator is four times as slow where work-items wait, and nobody is told. */
    @Test
    void theArgumentsOfTheSimulatorMakeContinuationsAvailable() {
        assumeTrue(
                System.getProperty("attention.mode") != null && !Continuations.isDebugged(),
                "SKIPPED: a debugger is there, or another start than that of the build");
        assertThat(Continuations.available()).isTrue();
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("carriers")
    void strandsHandOnABaton(String name, Supplier<Carrier> supplier) throws InterruptedException {
        Carrier carrier = carrier(name, supplier);
        List<String> log = Collections.synchronizedList(new ArrayList<>());
        List<StackTraceElement> waiting = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch ended = new CountDownLatch(1);
        AtomicReference<Strand> other = new AtomicReference<>();
        carrier.add(first -> {
            log.add("first");
            carrier.add(second -> {
                log.add("second");
                waiting.addAll(List.of(first.stackTrace()));
                other.set(second);
                first.wake();
                second.park();
                log.add("second again");
                ended.countDown();
            });
            first.park();
            log.add("first again");
            AtomicInteger asked = new AtomicInteger();
            first.pause(() -> asked.incrementAndGet() == 3);
            log.add("first after asking " + asked + " times");
            other.get().wake();
        });
        carrier.go();
        assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(log).containsExactly("first", "second", "first again", "first after asking 3 times", "second again");
        assertThat(waiting)
                .as("where the first one waits")
                .anySatisfy(frame -> assertThat(frame.getClassName()).isEqualTo(CarrierTest.class.getName()));
    }

    @ParameterizedTest(name = "{0}")
    @MethodSource("carriers")
    void whoRunsIsNotWokenTwice(String name, Supplier<Carrier> supplier) throws InterruptedException {
        Carrier carrier = carrier(name, supplier);
        List<String> log = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch ended = new CountDownLatch(1);
        carrier.add(strand -> {
            strand.wake();
            log.add("runs");
            carrier.add(_ -> {
                log.add("another");
                ended.countDown();
            });
        });
        carrier.go();
        assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(log).containsExactly("runs", "another");
    }

    /** A launch on continuations knows the work-item of each, whichever ran before. */
    @Test
    void strandsKeepTheirWorkItems() throws InterruptedException {
        Carrier carrier = carrier("continuations", ContinuationCarrier::new);
        List<WorkItem> seen = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch ended = new CountDownLatch(1);
        carrier.add(first -> {
            first.show(WorkItem.OUTSIDE);
            WorkItem.OUTSIDE.becomeCurrent();
            carrier.add(_ -> {
                ((CarrierThread) Thread.currentThread()).item(null);
                first.wake();
            });
            first.park();
            seen.add(WorkItem.current());
            ended.countDown();
        });
        carrier.go();
        assertThat(ended.await(30, TimeUnit.SECONDS)).isTrue();
        assertThat(seen).containsExactly(WorkItem.OUTSIDE);
    }
}
