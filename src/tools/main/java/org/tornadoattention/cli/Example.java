package org.tornadoattention.cli;

import java.util.Collection;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.tornadoattention.device.Backend;
import org.tornadoattention.reference.Comparison;
import picocli.CommandLine;

/**
 * Runs a program of {@code examples/} as a command runs: {@code --help} is answered, arguments that do not fit are bad
 * usage with exit code 2, and what a device refuses, or output that was lost, is a line on standard error and exit code
 * 1.
 */
public final class Example {

    private Example() {}

    /** What a program does. */
    @FunctionalInterface
    public interface Body {
        /** Runs it. */
        void run(String[] arguments) throws Exception;
    }

    /**
     * Runs a program that takes a few words.
     *
     * @param program its class
     * @param parameters what it takes, such as {@code [HEADS [TOKENS]]}; three dots at the end for as many as you like
     */
    public static void run(Class<?> program, String parameters, String[] arguments, Body body) {
        int exitCode = Main.delivered(execute(program, parameters, arguments, body), System.out, System.err);
        if (exitCode != Main.GOOD) {
            System.exit(exitCode);
        }
    }

    private static int execute(Class<?> program, String parameters, String[] arguments, Body body) {
        String usage = "Usage: ./attention example %s %s".formatted(program.getSimpleName(), parameters);
        if (Stream.of(arguments).anyMatch(argument -> argument.equals("--help") || argument.equals("-h"))) {
            System.out.println(usage);
            return Main.GOOD;
        }
        try {
            if (!parameters.contains("...") && arguments.length > parameters.split(" ").length) {
                throw new IllegalArgumentException("There are %d arguments.".formatted(arguments.length));
            }
            body.run(arguments);
            return Main.GOOD;
        } catch (IllegalArgumentException e) {
            System.err.println(program.getSimpleName() + ": " + e.getMessage());
            System.err.println(usage);
            return Main.BAD_USAGE;
        } catch (Exception e) {
            System.err.println(program.getSimpleName() + ": " + Failures.message(e));
            return Main.FAILED;
        }
    }

    /** Runs a program that is a picocli command, and ends the process with its exit code. */
    public static void run(Callable<Integer> command, String[] arguments) {
        Locale.setDefault(Locale.ENGLISH);
        Failures failures = new Failures();
        int exitCode = new CommandLine(command)
                .setCaseInsensitiveEnumValuesAllowed(true)
                .registerConverter(Backend.class, text -> Main.parsed(Backend::parse, text))
                .setParameterExceptionHandler(failures)
                .setExecutionExceptionHandler(failures)
                .execute(arguments);
        System.exit(Main.delivered(exitCode, System.out, System.err));
    }

    /**
     * A whole number among the arguments.
     *
     * @param index which argument
     * @param otherwise the number where there are fewer
     * @param least the least that is allowed
     * @throws IllegalArgumentException if it is no number, or too small
     */
    public static int number(String[] arguments, int index, int otherwise, int least) {
        if (index >= arguments.length) {
            return otherwise;
        }
        int number;
        try {
            number = Integer.parseInt(arguments[index]);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException("'%s' is no whole number.".formatted(arguments[index]), e);
        }
        requireAtLeast(least, "Argument %d".formatted(index + 1), number);
        return number;
    }

    /**
     * Checks an option's number.
     *
     * @throws IllegalArgumentException if it is too small
     */
    public static void requireAtLeast(int least, String name, int number) {
        if (number < least) {
            throw new IllegalArgumentException("%s is %d: it must be %d or more.".formatted(name, number, least));
        }
    }

    /**
     * Checks results, before they are timed or shown.
     *
     * @throws IllegalStateException if one is not right, with which and how far it is off
     */
    public static void requireRight(Collection<Comparison> results) {
        for (Comparison result : results) {
            if (!result.passed()) {
                throw new IllegalStateException("The result is wrong: " + result);
            }
        }
    }
}
