package org.tornadoattention;

import java.time.LocalDate;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Random;
import java.util.Set;
import java.util.function.Function;
import java.util.function.ToLongFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.provider.Arguments;

/**
 * The few rows of a table of test cases that a default run takes. In the grids, any two values of different parameters
 * that meet in some row of the table meet in one of these, so that what goes wrong with a value, or with two together,
 * goes wrong here; in tables of other tests, each value is in one of them. Beside them each row has its turn, one day
 * in {@link #DAYS}; and the rows that show the values are others each day. With {@code -Dattention.grid=full} all rows
 * run.
 *
 * @param <T> a row
 */
public final class CoveringArray<T> {

    /** Whether all rows of all tables run. */
    public static final boolean FULL = "full".equals(System.getProperty("attention.grid"));

    /** In so many days in a row each row of a table has its turn, unless it says otherwise. */
    public static final int DAYS = 14;

    /** What chooses the rows of a default run: the day, or {@code -Dattention.rows}. */
    public static final long SEED =
            Long.getLong("attention.rows", LocalDate.now(ZoneOffset.UTC).toEpochDay());

    static {
        System.out.printf("Rows of tests: those of -Dattention.rows=%d%n", SEED);
    }

    private final Function<T, List<?>> values;
    private final boolean inPairs;
    private ToLongFunction<T> cost = _ -> 1;
    private int days = DAYS;
    private final List<int[]> tuples = new ArrayList<>();
    private final Set<List<Object>> elsewhere = new HashSet<>();

    private CoveringArray(Function<T, List<?>> values, boolean inPairs) {
        this.values = values;
        this.inPairs = inPairs;
    }

    /**
     * Pairs of values.
     *
     * @param values of a row's parameters, as many in each row and in the same order
     */
    public static <T> CoveringArray<T> of(Function<T, List<?>> values) {
        return new CoveringArray<>(values, true);
    }

    /**
     * Each value, and what {@link #withTuple} adds.
     *
     * @param values of a row's parameters, as many in each row and in the same order
     */
    public static <T> CoveringArray<T> ofEachValue(Function<T, List<?>> values) {
        return new CoveringArray<>(values, false);
    }

    /**
     * The rows of today of a test's table, in which each argument has each of its values: all of them in a full run.
     *
     * @param together the places of arguments whose values meet as they do in the table, such as a kernel and its types
     */
    public static Stream<Arguments> today(Stream<Arguments> table, int... together) {
        return CoveringArray.<Arguments>ofEachValue(row -> Arrays.asList(row.get()))
                .withTuple(together)
                .ofTheDay(table);
    }

    /** Of rows that show as much the one that costs least is taken. */
    public CoveringArray<T> withCost(ToLongFunction<T> newCost) {
        cost = newCost;
        return this;
    }

    /** Each row has its turn in so many days. */
    public CoveringArray<T> within(int newDays) {
        days = newDays;
        return this;
    }

    /** The values of these parameters, by their places, shall meet as they do in the table. */
    public CoveringArray<T> withTuple(int... parameters) {
        tuples.add(parameters.clone());
        return this;
    }

    /** What these rows show is shown elsewhere. */
    public CoveringArray<T> beside(List<T> rows) {
        rows.forEach(row -> elsewhere.addAll(meetings(row)));
        return this;
    }

    /** The rows of today, in the table's order, or in a full run all. */
    public Stream<T> ofTheDay(Stream<T> table) {
        return FULL ? table : choose(table.toList()).stream();
    }

    /** The rows of today, in the table's order. */
    public List<T> choose(List<T> table) {
        return choose(table, SEED);
    }

    List<T> choose(List<T> table, long seed) {
        Map<List<Object>, Integer> numbers = new HashMap<>();
        int[][] meetings = table.stream()
                .map(row -> meetings(row).stream()
                        .filter(meeting -> !elsewhere.contains(meeting))
                        .mapToInt(meeting -> numbers.computeIfAbsent(meeting, _ -> numbers.size()))
                        .toArray())
                .toArray(int[][]::new);
        BitSet shown = new BitSet();
        BitSet chosen = new BitSet();
        List<Integer> order =
                new ArrayList<>(IntStream.range(0, table.size()).boxed().toList());
        // Which days' turn a row has does not depend on the day.
        Collections.shuffle(order, new Random(table.size()));
        for (int i = (int) Math.floorMod(seed, (long) days); i < order.size(); i += days) {
            chosen.set(order.get(i));
            Arrays.stream(meetings[order.get(i)]).forEach(shown::set);
        }
        Collections.shuffle(order, new Random(seed));
        PriorityQueue<Candidate> queue = new PriorityQueue<>();
        for (int i = 0; i < order.size(); i++) {
            queue.add(new Candidate(order.get(i), i, Double.POSITIVE_INFINITY));
        }
        while (shown.cardinality() < numbers.size()) {
            // What a row shows that is new only becomes less, so that one whose worth stands as it was is the best.
            Candidate best = queue.remove();
            long fresh = Arrays.stream(meetings[best.row])
                    .filter(meeting -> !shown.get(meeting))
                    .count();
            double worth = (double) fresh / cost.applyAsLong(table.get(best.row));
            if (worth == best.worth) {
                chosen.set(best.row);
                Arrays.stream(meetings[best.row]).forEach(shown::set);
            } else if (fresh > 0) {
                queue.add(new Candidate(best.row, best.place, worth));
            }
        }
        return chosen.stream().mapToObj(table::get).toList();
    }

    private record Candidate(int row, int place, double worth) implements Comparable<Candidate> {
        @Override
        public int compareTo(Candidate other) {
            return Comparator.comparingDouble(Candidate::worth)
                    .reversed()
                    .thenComparingInt(Candidate::place)
                    .compare(this, other);
        }
    }

    /** What a row shows: its values, singly or in pairs, and the tuples asked for. */
    List<List<Object>> meetings(T table) {
        List<?> row = values.apply(table);
        List<List<Object>> meetings = new ArrayList<>();
        for (int i = 0; i < row.size(); i++) {
            if (!inPairs) {
                meetings.add(List.of(i, row.get(i)));
            }
            for (int j = 0; inPairs && j < i; j++) {
                meetings.add(List.of(j, row.get(j), i, row.get(i)));
            }
        }
        for (int[] tuple : tuples) {
            List<Object> together = new ArrayList<>();
            for (int parameter : tuple) {
                together.add(parameter);
                together.add(row.get(parameter));
            }
            meetings.add(together);
        }
        return meetings;
    }
}
