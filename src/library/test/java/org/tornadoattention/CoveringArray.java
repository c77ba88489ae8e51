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

/**
 * The few rows of a table of test cases that a default run takes: any two values of different parameters that meet in
 * some row of the table meet in one of these, so that what goes wrong with a value, or with two together, goes wrong
 * here. Beside them each row has its turn, one day in {@link #DAYS}; and the rows that make the pairs are others each
 * day.
 *
 * @param <T> a row
 */
public final class CoveringArray<T> {

    /** In so many days in a row each row of a table has its turn. */
    static final int DAYS = 14;

    /** What chooses the rows of a default run: the day, or {@code -Dattention.rows}. */
    public static final long SEED =
            Long.getLong("attention.rows", LocalDate.now(ZoneOffset.UTC).toEpochDay());

    static {
        System.out.printf("Rows of test grids: those of -Dattention.rows=%d%n", SEED);
    }

    private final Function<T, List<?>> values;
    private ToLongFunction<T> cost = _ -> 1;
    private final List<int[]> tuples = new ArrayList<>();
    private final Set<List<Object>> elsewhere = new HashSet<>();

    private CoveringArray(Function<T, List<?>> values) {
        this.values = values;
    }

    /**
     * Pairs of values.
     *
     * @param values of a row's parameters, as many in each row and in the same order
     */
    public static <T> CoveringArray<T> of(Function<T, List<?>> values) {
        return new CoveringArray<>(values);
    }

    /** Of rows that show as much the one that costs least is taken. */
    public CoveringArray<T> withCost(ToLongFunction<T> newCost) {
        cost = newCost;
        return this;
    }

    /** The values of three or more parameters, by their places, shall meet as pairs do. */
    public CoveringArray<T> withTuple(int... parameters) {
        tuples.add(parameters.clone());
        return this;
    }

    /** What these rows show is shown elsewhere. */
    public CoveringArray<T> beside(List<T> rows) {
        rows.forEach(row -> elsewhere.addAll(meetings(row)));
        return this;
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
        for (int i = (int) Math.floorMod(seed, (long) DAYS); i < order.size(); i += DAYS) {
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

    /** What meets in a row: pairs, and the tuples asked for. */
    List<List<Object>> meetings(T table) {
        List<?> row = values.apply(table);
        List<List<Object>> meetings = new ArrayList<>();
        for (int i = 0; i < row.size(); i++) {
            for (int j = 0; j < i; j++) {
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
