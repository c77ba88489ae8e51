package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.tornadoattention.simulator.KernelCosts;
import org.tornadoattention.simulator.KernelTrace;
import org.tornadoattention.simulator.instrument.KernelText;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** Makes of what was kept of a launch the JSON of its picture. */
final class TraceDocument {

    /** A page with more steps is slow to open on a telephone: a step is some fifty bytes. */
    private static final int MOST_STEPS = 20_000;

    private static final int MOST_VALUES = 60_000;

    private final Launch launch;
    private final TraceRecorder recorder;
    private final KernelCosts costs;
    private final KernelText text;
    private final SourceText sources;
    private final List<String> places;
    /** The places that the picture needs, by their number in the code, numbered anew. */
    private final Map<Integer, Integer> shownPlaces = new LinkedHashMap<>();

    private final Json json = new Json();

    TraceDocument(Launch launch, TraceRecorder recorder, KernelCosts costs) {
        this.launch = launch;
        this.recorder = recorder;
        this.costs = costs;
        this.text = launch.body().text();
        this.sources = new SourceText(launch.settings().sources(), text);
        this.places = launch.body().costPlaces();
    }

    KernelTrace toTrace() {
        List<GroupTrace> groups = groupsThatFit();
        boolean allValues = groups.stream().mapToInt(GroupTrace::valuesKept).sum() <= MOST_VALUES;
        json.object(_ -> {
            head();
            arrays();
            json.name("groups").array(groups.size(), i -> group(groups.get(i), allValues));
            json.name("places").array(shownPlaces.size(), i -> place(new ArrayList<>(shownPlaces.keySet()).get(i)));
        });
        return new KernelTrace(launch.task(), launch.kernelName(), launch.toString(), json.toString());
    }

    /** Returns as many groups as a page has room for, spread over the grid. */
    private List<GroupTrace> groupsThatFit() {
        List<GroupTrace> groups = recorder.groups();
        while (groups.stream().mapToInt(GroupTrace::size).sum() > MOST_STEPS) {
            if (groups.size() == 1) {
                throw new IllegalArgumentException(
                        "Kernel %s is too large to draw: one group takes %,d different steps, and a page holds %,d. Launch it for a smaller problem, with fewer elements for each group."
                                .formatted(
                                        launch.kernelName(), groups.getFirst().size(), MOST_STEPS));
            }
            List<GroupTrace> half = new ArrayList<>();
            for (int i = 0; i < groups.size(); i += 2) {
                half.add(groups.get(i));
            }
            groups = half;
        }
        return groups;
    }

    private void head() {
        Grid grid = launch.grid();
        json.name("task").value(launch.task());
        json.name("kernel").value(launch.kernelName());
        json.name("loops")
                .array(
                        launch.body().parallelLoops().size(),
                        i -> json.value(launch.body().parallelLoops().get(i)));
        int[] groups = grid == null
                ? new int[] {recorder.warps(), 1, 1}
                : new int[] {grid.groups(0), grid.groups(1), grid.groups(2)};
        int[] local = grid == null ? new int[] {Warp.SIZE, 1, 1} : grid.local();
        json.name("grid").array(Grid.DIMENSIONS, i -> json.value(groups[i]));
        json.name("group").array(Grid.DIMENSIONS, i -> json.value(local[i]));
        json.name("costs").object(_ -> {
            json.name("sectors").value(costs.sectors());
            json.name("fewestSectors").value(costs.fewestSectors());
            json.name("bankConflicts").value(costs.bankConflicts());
            json.name("localBytes").value(costs.localBytes());
            json.name("idle").value((float) costs.divergence());
        });
        source();
    }

    private void source() {
        List<String> lines = sources.lines(text.file());
        int first = sources.firstLine();
        int last = Math.min(lines.size(), text.lastLine() + 1);
        json.name("source").object(_ -> {
            json.name("file").value(text.file());
            json.name("first").value(first);
            json.name("lines").array(Math.max(0, last - first + 1), i -> json.value(lines.get(first - 1 + i)));
        });
    }

    private void arrays() {
        json.name("header").value(TornadoNativeArray.ARRAY_HEADER);
        List<DeviceArray> arrays = launch.arrays();
        json.name("global")
                .array(
                        arrays.size(),
                        i -> json.object(_ -> {
                            json.name("name").value(launch.arrayNames().get(i));
                            json.name("bytes").value(arrays.get(i).host().getElementSize());
                            json.name("elements").value(arrays.get(i).host().getSize());
                        }));
        List<LocalArray> local = launch.localArrays();
        json.name("local")
                .array(
                        local.size(),
                        i -> json.object(_ -> {
                            json.name("name").value(local.get(i).name());
                            json.name("bytes").value(local.get(i).elementBytes());
                            json.name("elements").value(local.get(i).length());
                            json.name("offset").value(local.get(i).offset());
                        }));
    }

    private int shown(int place) {
        return shownPlaces.computeIfAbsent(place, _ -> shownPlaces.size());
    }

    private void place(int number) {
        String place = places.get(number);
        int colon = place.lastIndexOf(':');
        String file = place.substring(0, colon);
        int line = Integer.parseInt(place.substring(colon + 1));
        json.object(_ -> {
            json.name("file").value(file);
            json.name("line").value(line);
            json.name("inKernel").value(text.holds(place) ? 1 : 0);
            json.name("text").value(sources.line(file, line));
        });
    }

    private void group(GroupTrace group, boolean allValues) {
        json.object(_ -> {
            json.name("id").array(Grid.DIMENSIONS, i -> json.value(group.id()[i]));
            json.name("phases")
                    .array(group.phases().size(), i -> phase(group.phases().get(i)));
            List<Integer> items = group.values().entrySet().stream()
                    .filter(entry -> !entry.getValue().moments().isEmpty())
                    .map(Map.Entry::getKey)
                    .filter(item -> allValues || item == 0)
                    .toList();
            json.name("values")
                    .array(
                            items.size(),
                            i -> values(items.get(i), group.values().get(items.get(i))));
        });
    }

    private void phase(GroupTrace.Phase phase) {
        json.object(_ -> {
            json.name("end").value(phase.end() < 0 ? -1 : shown(phase.end()));
            json.name("warps").array(phase.steps().length, w -> {
                List<WarpSteps.Run> runs = phase.steps()[w].runs();
                json.array(runs.size(), i -> run(runs.get(i)));
            });
            json.name("local")
                    .object(_ -> phase.local()
                            .forEach((name, floats) ->
                                    json.name(name).array(floats.length, i -> json.value(floats[i]))));
        });
    }

    private void run(WarpSteps.Run run) {
        json.array(1 + run.body().size(), i -> {
            if (i == 0) {
                json.value(run.turns());
            } else {
                step(run.body().get(i - 1), run.delta(i - 1));
            }
        });
    }

    /**
     * A step is place, caller, access, array, bytes, mask, cost, fewest, ways, delta, then all offsets, or the first
     * and a stride.
     */
    private void step(WarpSteps.Step step, long delta) {
        long[] offsets = step.offsets();
        long stride = offsets.length < 2 ? 0 : offsets[1] - offsets[0];
        boolean even = true;
        for (int i = 1; i < offsets.length; i++) {
            even &= offsets[i] - offsets[i - 1] == stride;
        }
        long[] numbers = {
            shown(step.place()),
            step.caller() < 0 || text.holds(places.get(step.place())) ? -1 : shown(step.caller()),
            step.access().ordinal(),
            step.array(),
            step.bytes(),
            Integer.toUnsignedLong(step.mask()),
            step.cost(),
            step.fewest(),
            step.ways(),
            delta
        };
        boolean affine = even;
        json.array(numbers.length + (affine ? 2 : 1), i -> {
            if (i < numbers.length) {
                json.value(numbers[i]);
            } else if (!affine) {
                json.array(offsets.length, at -> json.value(offsets[at]));
            } else {
                json.value(i == numbers.length ? offsets[0] : stride);
            }
        });
    }

    private void values(int item, ValueTrace trace) {
        Set<String> names = new LinkedHashSet<>();
        trace.moments().forEach(moment -> names.addAll(moment.values().keySet()));
        List<String> all = List.copyOf(names);
        json.object(_ -> {
            json.name("item").value(item);
            json.name("names").array(all.size(), i -> json.value(all.get(i)));
            json.name("moments")
                    .array(trace.moments().size(), i -> moment(trace.moments().get(i), all));
        });
    }

    /** A moment is place, phase, then for each name a number, the elements of an array, or null. */
    private void moment(ValueTrace.Moment moment, List<String> names) {
        json.array(2 + names.size(), i -> {
            if (i == 0) {
                json.value(shown(moment.place()));
            } else if (i == 1) {
                json.value(moment.phase());
            } else {
                float[] values = moment.values().get(names.get(i - 2));
                if (values == null) {
                    json.value(Float.NaN);
                } else if (values.length == 1) {
                    json.value(values[0]);
                } else {
                    json.array(values.length, at -> json.value(values[at]));
                }
            }
        });
    }
}
