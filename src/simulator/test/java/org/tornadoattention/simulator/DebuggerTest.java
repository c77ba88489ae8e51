package org.tornadoattention.simulator;

import static org.assertj.core.api.Assertions.assertThat;
import static uk.ac.manchester.tornado.api.enums.DataTransferMode.EVERY_EXECUTION;

import com.sun.jdi.AbsentInformationException;
import com.sun.jdi.Bootstrap;
import com.sun.jdi.FloatValue;
import com.sun.jdi.IntegerValue;
import com.sun.jdi.Location;
import com.sun.jdi.ObjectReference;
import com.sun.jdi.ReferenceType;
import com.sun.jdi.StackFrame;
import com.sun.jdi.VirtualMachine;
import com.sun.jdi.connect.Connector;
import com.sun.jdi.connect.LaunchingConnector;
import com.sun.jdi.event.BreakpointEvent;
import com.sun.jdi.event.ClassPrepareEvent;
import com.sun.jdi.event.Event;
import com.sun.jdi.event.EventSet;
import com.sun.jdi.event.VMDeathEvent;
import com.sun.jdi.event.VMDisconnectEvent;
import com.sun.jdi.request.ClassPrepareRequest;
import com.sun.jdi.request.EventRequest;
import java.io.File;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.TaskGraph;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/** A debugger with a breakpoint in a kernel, as an IDE sets it: by class and line, before the program starts. */
class DebuggerTest {

    static void doubled(KernelContext context, FloatArray in, FloatArray out) {
        float[] tile = context.allocateFloatLocalArray(2);
        int id = context.localIdx;
        tile[id] = 2f * in.get(context.globalIdx);
        context.localBarrier();
        float result = tile[id];
        out.set(context.globalIdx, result);
    }

    /** The program that is debugged. */
    public static final class Program {

        private Program() {}

        /** Runs the kernel on two groups of two work-items. */
        public static void main(String[] arguments) {
            FloatArray in = FloatArray.fromElements(1f, 2f, 3f, 4f);
            FloatArray out = new FloatArray(4);
            try (Simulator.Restore _ = Simulator.configure(Simulator.settings().withThreads(1))) {
                Plans.run(
                        new TaskGraph("debugged")
                                .transferToDevice(EVERY_EXECUTION, in)
                                .task("kernel", DebuggerTest::doubled, new KernelContext(), in, out)
                                .transferToHost(EVERY_EXECUTION, out),
                        Plans.grid(4, 2));
            }
        }
    }

    private record Stop(String thread, int globalIdx, float result, List<String> variables) {}

    @Test
    void aBreakpointStopsInEachWorkItemAndShowsItsIds() throws Exception {
        List<Stop> stops = new ArrayList<>();
        VirtualMachine machine = launch();
        try {
            ClassPrepareRequest prepare = machine.eventRequestManager().createClassPrepareRequest();
            prepare.addClassFilter(DebuggerTest.class.getName());
            prepare.enable();
            machine.resume();
            boolean running = true;
            while (running) {
                EventSet events = machine.eventQueue().remove(60_000);
                assertThat(events).as("events within a minute").isNotNull();
                for (Event event : events) {
                    switch (event) {
                        case ClassPrepareEvent prepared -> setBreakpoint(machine, prepared.referenceType());
                        case BreakpointEvent stop -> stops.add(look(stop));
                        case VMDeathEvent _, VMDisconnectEvent _ -> running = false;
                        default -> {
                            // the start of the machine
                        }
                    }
                }
                if (running) {
                    events.resume();
                }
            }
        } finally {
            machine.process().destroyForcibly();
        }
        assertThat(stops).extracting(Stop::globalIdx).containsExactly(0, 1, 2, 3);
        assertThat(stops).extracting(Stop::result).containsExactly(2f, 4f, 6f, 8f);
        assertThat(stops.get(3).thread()).isEqualTo("kernel doubled group (1,0,0) item 1");
        assertThat(stops.get(3).variables()).contains("context", "in", "out", "tile", "id", "result");
    }

    private static VirtualMachine launch() throws Exception {
        LaunchingConnector connector = Bootstrap.virtualMachineManager().defaultConnector();
        Map<String, Connector.Argument> arguments = connector.defaultArguments();
        arguments.get("home").setValue(System.getProperty("java.home"));
        arguments.get("options").setValue("-cp \"" + classPath() + "\"");
        arguments.get("main").setValue(Program.class.getName());
        return connector.launch(arguments);
    }

    private static String classPath() throws URISyntaxException {
        Set<String> places = new LinkedHashSet<>();
        for (Class<?> type : List.of(DebuggerTest.class, Simulator.class, KernelContext.class, Assertions.class)) {
            places.add(Path.of(type.getProtectionDomain()
                            .getCodeSource()
                            .getLocation()
                            .toURI())
                    .toString());
        }
        return String.join(File.pathSeparator, places);
    }

    private static void setBreakpoint(VirtualMachine machine, ReferenceType type) throws AbsentInformationException {
        for (Location location : type.locationsOfLine(lastLineOfKernel(type))) {
            EventRequest request = machine.eventRequestManager().createBreakpointRequest(location);
            request.enable();
        }
    }

    /** Returns the line of the kernel's last statement, where all of its variables are set. */
    private static int lastLineOfKernel(ReferenceType type) throws AbsentInformationException {
        List<Location> lines = type.methodsByName("doubled").getFirst().allLineLocations();
        return lines.stream().mapToInt(Location::lineNumber).max().orElseThrow() - 1;
    }

    private static Stop look(BreakpointEvent stop) throws Exception {
        StackFrame frame = stop.thread().frame(0);
        ObjectReference context = (ObjectReference) frame.getValue(frame.visibleVariableByName("context"));
        ObjectReference boxed =
                (ObjectReference) context.getValue(context.referenceType().fieldByName("globalIdx"));
        int id = ((IntegerValue) boxed.getValue(boxed.referenceType().fieldByName("value"))).value();
        float result = ((FloatValue) frame.getValue(frame.visibleVariableByName("result"))).value();
        return new Stop(
                stop.thread().name(),
                id,
                result,
                frame.visibleVariables().stream()
                        .map(variable -> variable.name())
                        .toList());
    }
}
