package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.provider.Arguments;

/** What a few rows show of a table. */
class CoveringArrayTest {

    private record Row(String kernel, int type, int mask, int length) {

        List<Object> values() {
            return List.of(kernel, type, mask, length);
        }

        long cost() {
            return length;
        }
    }

    /** 5 kernels, of which one takes one type alone, 3 types, 4 masks and 12 lengths. */
    private static List<Row> table() {
        return Stream.of("a", "b", "c", "d", "one type")
                .flatMap(kernel -> IntStream.range(0, 3)
                        .filter(type -> type == 1 || !kernel.equals("one type"))
                        .boxed()
                        .flatMap(type -> IntStream.range(0, 4)
                                .boxed()
                                .flatMap(mask -> IntStream.rangeClosed(1, 12)
                                        .mapToObj(length -> new Row(kernel, type, mask, length)))))
                .toList();
    }

    private static CoveringArray<Row> pairs() {
        return CoveringArray.of(Row::values);
    }

    /** The values of some parameters, as they meet in rows. */
    private static Set<List<Object>> meetings(List<Row> rows, int... parameters) {
        Set<List<Object>> meetings = new HashSet<>();
        for (Row row : rows) {
            meetings.add(IntStream.of(parameters)
                    .mapToObj(parameter -> row.values().get(parameter))
                    .toList());
        }
        return meetings;
    }

    private static void assertAllPairs(List<Row> chosen) {
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < i; j++) {
                assertThat(meetings(chosen, i, j)).isEqualTo(meetings(table(), i, j));
            }
        }
    }

    @Test
    void allPairsMeetInAFewRows() {
        for (long seed = 0; seed < 20; seed++) {
            List<Row> chosen = pairs().choose(table(), seed);
            assertAllPairs(chosen);
            // 60 pairs of a kernel and a length, and the turn of a fourteenth.
            assertThat(chosen).hasSizeBetween(60, 60 + 20 + table().size() / CoveringArray.DAYS);
        }
    }

    @Test
    void triplesMeetWhereAskedFor() {
        List<Row> chosen = pairs().withTuple(0, 1, 2).choose(table(), 3);
        assertAllPairs(chosen);
        assertThat(meetings(chosen, 0, 1, 2)).isEqualTo(meetings(table(), 0, 1, 2));
        assertThat(meetings(chosen, 1, 2, 3)).isNotEqualTo(meetings(table(), 1, 2, 3));
    }

    @Test
    void whatMeetsElsewhereIsLeftOut() {
        List<Row> elsewhere =
                table().stream().filter(row -> row.kernel.equals("a")).toList();
        List<Row> chosen = pairs().beside(elsewhere).choose(table(), 3);
        assertAllPairs(Stream.concat(elsewhere.stream(), chosen.stream()).toList());
        assertThat(chosen).hasSizeLessThan(pairs().choose(table(), 3).size());
    }

    @Test
    void theCheaperOfTwoIsTaken() {
        CoveringArray<Row> byKernel =
                CoveringArray.<Row>of(row -> List.of(row.kernel, row.type)).withCost(Row::cost);
        List<Row> dear = byKernel.choose(table(), 3).stream()
                .filter(row -> row.length > 1)
                .toList();
        assertThat(dear).hasSizeLessThanOrEqualTo(Math.ceilDiv(table().size(), CoveringArray.DAYS));
    }

    /** By day, and there is little beside the values and the turn. */
    @Test
    void eachValueIsInARowAndWhatShallMeetMeets() {
        for (long seed = 0; seed < 20; seed++) {
            List<Row> chosen = eachValue().choose(table(), seed);
            for (int parameter = 0; parameter < 4; parameter++) {
                assertThat(meetings(chosen, parameter)).isEqualTo(meetings(table(), parameter));
            }
            assertThat(meetings(chosen, 0, 1)).isEqualTo(meetings(table(), 0, 1));
            assertThat(meetings(chosen, 0, 3)).isNotEqualTo(meetings(table(), 0, 3));
            // 13 pairs of a kernel and a type.
            assertThat(chosen).hasSizeLessThanOrEqualTo(Math.ceilDiv(table().size(), CoveringArray.DAYS) + 13);
        }
    }

    private static CoveringArray<Row> eachValue() {
        return CoveringArray.ofEachValue(Row::values).withTuple(0, 1);
    }

    @Test
    void eachRowHasItsTurnInTheDaysAskedFor() {
        for (int days : new int[] {1, 3, CoveringArray.DAYS}) {
            assertThat(ofDays(days, days)).containsAll(table());
        }
        assertThat(ofDays(CoveringArray.DAYS / 2, CoveringArray.DAYS)).hasSizeLessThan(table().size());
    }

    /** What the first of so many days have. */
    private static Set<Row> ofDays(int first, int days) {
        return LongStream.range(20_000, 20_000 + first)
                .mapToObj(seed -> eachValue().within(days).choose(table(), seed))
                .flatMap(List::stream)
                .collect(Collectors.toSet());
    }

    /** What the tests' tables are handed to. */
    @Test
    void argumentsOfTodayAreThoseOfTheSeed() {
        List<Arguments> all = table().stream()
                .map(row -> Arguments.of(row.values().toArray()))
                .toList();
        List<Arguments> today = CoveringArray.today(all.stream(), 0, 1).toList();
        if (CoveringArray.FULL) {
            assertThat(today).isEqualTo(all);
        } else {
            assertThat(today.stream().map(row -> table().get(all.indexOf(row))))
                    .isEqualTo(eachValue().choose(table(), CoveringArray.SEED))
                    .hasSizeLessThan(table().size() / 4);
        }
    }

    @Test
    void aSeedDeterminesTheRowsAndAnotherOneHasOthers() {
        assertThat(pairs().choose(table(), 5)).isEqualTo(pairs().choose(table(), 5));
        assertThat(pairs().choose(table(), 5)).isNotEqualTo(pairs().choose(table(), 6));
    }

    @Test
    void eachRowHasItsTurn() {
        List<Row> ofTheTurns = LongStream.range(20_000, 20_000 + CoveringArray.DAYS)
                .mapToObj(seed -> pairs().choose(table(), seed))
                .flatMap(List::stream)
                .toList();
        assertThat(ofTheTurns).containsAll(table());
    }

    @Test
    void aTableOfOneRowIsChosenAndOneOfNoneIsNot() {
        Predicate<Row> one = row -> row.equals(table().getFirst());
        assertThat(pairs().choose(table().stream().filter(one).toList(), 0)).hasSize(1);
        assertThat(pairs().choose(List.of(), 0)).isEmpty();
    }
}
