package org.tornadoattention;

import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectIteration;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectMethod;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.Launcher;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Runs test classes in several JVMs side by side, the invocations of a parameterised test shared out among them. */
@Command(
        name = "parallel-tests",
        mixinStandardHelpOptions = true,
        description = {
            "Run test classes in several JVMs side by side.",
            "",
            "A grid on a GPU spends its time on compiling kernels, which takes a processor and hardly the GPU. The JVMs take a few"
                    + " invocations at a time from one list, so that all end together. Exit code 0 only if all passed."
        })
public final class ParallelTests implements Callable<Integer> {

    private static final int INVOCATIONS_AT_ONCE = 4;

    /** Characters of a failure's message, which may list all of a grid. */
    private static final int SHOWN = 1000;

    /** Where this runs output is no terminal, so what is done is told in lines, in nanoseconds from each other. */
    private static final long BETWEEN_LINES = TimeUnit.SECONDS.toNanos(20);

    /** Begins a line that a worker has for us; all others are what tests and drivers print. */
    private static final String MARK = "@tests@ ";

    @Option(names = "--processes", description = "JVMs (default: the processors here).")
    private int processes = Runtime.getRuntime().availableProcessors();

    @Option(names = "--minutes", description = "Begin nothing more after so many.")
    private double minutes = Double.POSITIVE_INFINITY;

    @Option(
            names = "--patience",
            description = "Seconds after which a test is said never to end (default ${DEFAULT-VALUE}).")
    private long patience = 300;

    @Parameters(
            arity = "1..*",
            paramLabel = "CLASS",
            description = "As in -Dtest, with packages below org.tornadoattention.")
    private List<String> classes;

    private final Map<String, int[]> counts = new TreeMap<>();
    private final Map<String, Integer> workersByDevice = new TreeMap<>();
    private long lastTold = System.nanoTime();
    private List<Method> methods;
    private long deadline;

    private enum Outcome {
        PASSED,
        FAILED,
        SKIPPED
    }

    /** A test method, and which of its invocations are not given out yet. */
    private static final class Method {
        private final MethodSource source;
        private final boolean parameterised;
        private int next;
        private boolean ended;

        Method(MethodSource source, boolean parameterised) {
            this.source = source;
            this.parameterised = parameterised;
        }
    }

    /** Some invocations of a method, from 0 on, or all of it where {@code from} is negative. */
    private record Piece(Method method, int from) {

        String asLine() {
            MethodSource source = method.source;
            return String.join(
                    "\t",
                    source.getClassName(),
                    source.getMethodName(),
                    source.getMethodParameterTypes(),
                    Integer.toString(from));
        }

        static DiscoverySelector parse(String line) {
            String[] parts = line.split("\t", -1);
            int from = Integer.parseInt(parts[3]);
            var method = selectMethod(parts[0], parts[1], parts[2]);
            return from < 0
                    ? method
                    : selectIteration(
                            method,
                            IntStream.range(from, from + INVOCATIONS_AT_ONCE).toArray());
        }
    }

    public static void main(String[] arguments) {
        if (arguments.length == 1 && arguments[0].equals(MARK)) {
            work();
        } else {
            System.exit(new CommandLine(new ParallelTests()).execute(arguments));
        }
    }

    @Override
    public Integer call() throws Exception {
        methods = discover();
        deadline = minutes == Double.POSITIVE_INFINITY
                ? Long.MAX_VALUE
                : System.nanoTime() + (long) (minutes * Duration.ofMinutes(1).toNanos());
        try (ExecutorService threads = Executors.newCachedThreadPool()) {
            List<Future<?>> ends = new ArrayList<>();
            for (int i = 0; i < processes; i++) {
                ends.add(threads.submit(this::employ));
            }
            for (Future<?> end : ends) {
                end.get();
            }
        }
        counts.forEach((name, ofClass) -> System.out.printf("%-40s %s%n", name, told(ofClass)));
        workersByDevice.forEach((device, workers) -> System.out.printf("%d of the JVMs ran on %s%n", workers, device));
        int[] all = all();
        System.out.println(told(all));
        return all[Outcome.FAILED.ordinal()] == 0 && all[Outcome.PASSED.ordinal()] > 0 ? 0 : 1;
    }

    private int[] all() {
        int[] all = new int[Outcome.values().length];
        for (int[] ofClass : counts.values()) {
            for (int outcome = 0; outcome < all.length; outcome++) {
                all[outcome] += ofClass[outcome];
            }
        }
        return all;
    }

    private static String told(int[] counts) {
        return "%d passed, %d failed, %d skipped"
                .formatted(
                        counts[Outcome.PASSED.ordinal()],
                        counts[Outcome.FAILED.ordinal()],
                        counts[Outcome.SKIPPED.ordinal()]);
    }

    private List<Method> discover() {
        var request = LauncherDiscoveryRequestBuilder.request();
        for (String name : classes) {
            request.selectors(selectClass(name.startsWith("org.") ? name : "org.tornadoattention." + name));
        }
        TestPlan plan = LauncherFactory.create().discover(request.build());
        List<Method> found = new ArrayList<>();
        for (TestIdentifier root : plan.getRoots()) {
            for (TestIdentifier test : plan.getDescendants(root)) {
                if (test.getSource().orElse(null) instanceof MethodSource source) {
                    found.add(new Method(source, test.getUniqueId().contains("[test-template:")));
                }
            }
        }
        if (found.isEmpty()) {
            throw new CommandLine.ParameterException(new CommandLine(this), "There are no tests in " + classes + ".");
        }
        return found;
    }

    private synchronized Optional<Piece> take() {
        if (System.nanoTime() > deadline && deadline != Long.MAX_VALUE) {
            return Optional.empty();
        }
        for (Method method : methods) {
            if (!method.ended) {
                int from = method.parameterised ? method.next : -1;
                method.next += INVOCATIONS_AT_ONCE;
                method.ended = !method.parameterised;
                return Optional.of(new Piece(method, from));
            }
        }
        return Optional.empty();
    }

    private synchronized void count(Piece piece, Outcome outcome, String what) {
        String name = piece.method.source.getClassName().replaceFirst("^org\\.tornadoattention\\.", "");
        counts.computeIfAbsent(name, _ -> new int[Outcome.values().length])[outcome.ordinal()]++;
        if (outcome == Outcome.FAILED) {
            String shown = what.length() > SHOWN ? what.substring(0, SHOWN) + " …" : what;
            System.out.printf("FAILED %s#%s %s%n", name, piece.method.source.getMethodName(), shown);
        }
        if (System.nanoTime() - lastTold > BETWEEN_LINES) {
            lastTold = System.nanoTime();
            System.out.println("... " + told(all()));
        }
    }

    private synchronized void noteDevice(String device) {
        workersByDevice.merge(device, 1, Integer::sum);
    }

    private synchronized void end(Method method) {
        method.ended = true;
    }

    /** Gives out pieces to one worker, and to another one when it dies or hangs. */
    private Void employ() throws IOException, InterruptedException {
        Optional<Piece> piece = take();
        while (piece.isPresent()) {
            Process process = JavaProcess.start(List.of("-Xmx4g"), ParallelTests.class.getName(), MARK);
            BlockingQueue<String> lines = new LinkedBlockingQueue<>();
            Thread reader = Thread.startVirtualThread(() -> read(process, lines));
            try (PrintStream orders = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8)) {
                while (piece.isPresent()) {
                    orders.println(piece.get().asLine());
                    if (!follow(piece.get(), lines)) {
                        process.destroyForcibly();
                        piece = take();
                        break;
                    }
                    piece = take();
                }
            }
            process.waitFor();
            reader.join();
        }
        return null;
    }

    private static void read(Process process, BlockingQueue<String> lines) {
        try (BufferedReader reader =
                new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
            reader.lines().forEach(lines::add);
        } catch (IOException | RuntimeException e) { // the worker was ended
            lines.add(e.toString());
        }
        lines.add(MARK + "GONE");
    }

    /** Counts what a worker tells of a piece; false if it will tell no more. */
    private boolean follow(Piece piece, BlockingQueue<String> lines) throws InterruptedException {
        String running = "before its first test";
        String printed = "";
        int tests = 0;
        while (true) {
            String line = lines.poll(patience, TimeUnit.SECONDS);
            if (line == null) {
                count(piece, Outcome.FAILED, running + ": no end after %d seconds".formatted(patience));
                return false;
            }
            if (!line.startsWith(MARK)) {
                printed = line;
                continue;
            }
            String[] words = line.substring(MARK.length()).split(" ", 2);
            switch (words[0]) {
                case "DEVICE" -> noteDevice(words[1]);
                case "RUNNING" -> running = words[1];
                case "DONE" -> {
                    if (tests == 0) {
                        end(piece.method);
                    }
                    return true;
                }
                case "GONE" -> {
                    count(piece, Outcome.FAILED, running + ": its JVM ended, last with: " + printed);
                    return false;
                }
                default -> {
                    tests++;
                    count(piece, Outcome.valueOf(words[0]), words[1]);
                }
            }
        }
    }

    /** What a worker does: runs the pieces that its standard input names. */
    private static void work() {
        PrintStream out = System.out;
        out.println(MARK + "DEVICE " + TestDevice.get());
        Launcher launcher = LauncherFactory.create();
        TestExecutionListener listener = new TestExecutionListener() {
            @Override
            public void executionStarted(TestIdentifier test) {
                tell(test.isTest(), "RUNNING", test.getDisplayName());
            }

            @Override
            public void executionSkipped(TestIdentifier test, String reason) {
                tell(true, "SKIPPED", test.getDisplayName());
            }

            @Override
            public void executionFinished(TestIdentifier test, TestExecutionResult result) {
                switch (result.getStatus()) {
                    case SUCCESSFUL -> tell(test.isTest(), "PASSED", test.getDisplayName());
                    case ABORTED -> tell(test.isTest(), "SKIPPED", test.getDisplayName());
                    case FAILED ->
                        tell(
                                true,
                                "FAILED",
                                test.getDisplayName() + ": "
                                        + result.getThrowable()
                                                .map(Throwable::toString)
                                                .orElse(""));
                }
            }

            private void tell(boolean told, String what, String name) {
                if (told) {
                    out.println(MARK + what + " " + name.replaceAll("\\s+", " "));
                }
            }
        };
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))
                .lines()
                .forEach(line -> {
                    launcher.execute(
                            LauncherDiscoveryRequestBuilder.request()
                                    .selectors(Piece.parse(line))
                                    .build(),
                            listener);
                    out.println(MARK + "DONE");
                });
        System.exit(0);
    }
}
