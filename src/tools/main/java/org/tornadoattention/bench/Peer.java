package org.tornadoattention.bench;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.tornadoattention.AttentionException;

/**
 * A program that measures the kernels of others on the problems that it is told of, so that they and ours take turns on
 * one machine in one run: {@code python3 bench/peers.py --serve}.
 *
 * <p>It speaks JSON, a line at a time. At first it says its {@code environment}, {@code ceilings} and
 * {@code flushedBytes}. Then it is asked with a {@code case}, {@code warmUps}, {@code repetitions} and {@code seconds},
 * and answers with {@code results}, as they stand in a {@link BenchFile}. It ends with its input.
 */
public final class Peer implements AutoCloseable {

    private static final long SECONDS_TO_END = 10;
    private static final Pattern WORD = Pattern.compile("\"([^\"]*)\"|'([^']*)'|\\S+");

    private record Greeting(Environment environment, Ceilings ceilings, long flushedBytes) {}

    private record Question(@JsonProperty("case") BenchCase measured, int warmUps, int repetitions, double seconds) {}

    private record Answer(List<BenchResult> results) {}

    private final String command;
    private final Process process;
    private final BufferedReader answers;
    private final Writer questions;
    private final Greeting greeting;
    private final Map<BenchCase, Map<String, List<BenchResult>>> rounds = new LinkedHashMap<>();

    private Peer(List<String> words) throws IOException {
        command = String.join(" ", words);
        process = new ProcessBuilder(words)
                .redirectError(ProcessBuilder.Redirect.INHERIT)
                .start();
        answers = process.inputReader(StandardCharsets.UTF_8);
        questions = process.outputWriter(StandardCharsets.UTF_8);
        greeting = answer(Greeting.class);
    }

    /**
     * Starts a program and waits until it says where it runs.
     *
     * @param command the program and its arguments with spaces between; words with spaces of their own in quotes
     * @throws AttentionException if it cannot be started or says something else
     */
    public static Peer start(String command) {
        try {
            return new Peer(WORD.matcher(command).results().map(Peer::unquoted).toList());
        } catch (IOException e) {
            throw new AttentionException(
                    "The peer '%s' could not be started: %s".formatted(command, e.getMessage()), e);
        }
    }

    private static String unquoted(MatchResult word) {
        return Stream.of(word.group(1), word.group(2))
                .filter(Objects::nonNull)
                .findFirst()
                .orElse(word.group());
    }

    /** What computes there, with its version. */
    public String runtime() {
        return greeting.environment.runtime();
    }

    /**
     * Has a problem measured by each kernel that the program knows. Results of the same problem are rounds.
     *
     * @throws AttentionException if the program ends or says something else
     */
    public void measure(BenchCase measured, BenchSession.Settings settings) {
        try {
            questions.write(BenchFile.JSON.writeValueAsString(
                    new Question(measured, settings.warmUps(), settings.repetitions(), settings.seconds())));
            questions.write('\n');
            questions.flush();
        } catch (IOException e) {
            throw new AttentionException("The peer '%s' takes no more problems: %s".formatted(command, how()), e);
        }
        List<BenchResult> results = answer(Answer.class).results();
        synchronized (rounds) {
            Map<String, List<BenchResult>> ofProblem = rounds.computeIfAbsent(measured, _ -> new LinkedHashMap<>());
            for (BenchResult result : results) {
                ofProblem
                        .computeIfAbsent(result.label(), _ -> new ArrayList<>())
                        .add(result);
            }
        }
    }

    /** What was measured so far, rounds together. */
    public BenchFile file(String preset, boolean complete) {
        List<BenchResult> results;
        synchronized (rounds) {
            results = rounds.values().stream()
                    .flatMap(ofProblem -> ofProblem.values().stream().map(Rounds::together))
                    .toList();
        }
        return BenchFile.of(preset, complete, greeting.environment, greeting.ceilings, greeting.flushedBytes, results);
    }

    private <T> T answer(Class<T> type) {
        String line;
        try {
            line = answers.readLine();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        if (line == null) {
            throw new AttentionException("The peer '%s' has ended without an answer: %s".formatted(command, how()));
        }
        try {
            return BenchFile.JSON.readValue(line, type);
        } catch (JsonProcessingException e) {
            throw new AttentionException(
                    "The peer '%s' said '%s', which is no answer: it must speak as 'bench/peers.py --serve' does."
                            .formatted(command, line),
                    e);
        }
    }

    private String how() {
        try {
            return process.waitFor(SECONDS_TO_END, TimeUnit.SECONDS)
                    ? "exit code %d; what it said stands above".formatted(process.exitValue())
                    : "it still runs";
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            return "interrupted";
        }
    }

    /** Ends the program. */
    @Override
    public void close() {
        try (answers) {
            questions.close();
            if (!process.waitFor(SECONDS_TO_END, TimeUnit.SECONDS)) {
                process.destroy();
            }
        } catch (IOException e) {
            process.destroy(); // It has ended before, or will not: nothing is asked any more.
        } catch (InterruptedException e) {
            process.destroy();
            Thread.currentThread().interrupt();
        }
    }
}
