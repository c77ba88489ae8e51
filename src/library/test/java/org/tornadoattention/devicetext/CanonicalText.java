package org.tornadoattention.devicetext;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The text that TornadoVM generates for a kernel, up to what says nothing about its speed: the names of temporaries and of
 * parameters, the order of what does not depend on each other, and which factor or summand comes first.
 *
 * <p>A temporary that is assigned once and computed without memory is replaced by a digest of its expression. What is left
 * are loads, stores, barriers, other instructions, control flow, and variables that are assigned in several places.
 *
 * @param lines what is left, in the order of the text
 */
record CanonicalText(List<String> lines) {

    /** {@code i_12}, or {@code rsi12} in PTX. */
    private static final String TEMPORARY = "(?:[a-z]{1,3}\\d*_\\d+|r[a-z]{1,3}(?:Arr)?\\d+)";

    private static final Pattern C_ASSIGNMENT = Pattern.compile("(" + TEMPORARY + ")\\s+=\\s+(.*);");
    private static final Pattern PTX_INSTRUCTION =
            Pattern.compile("((?!st\\.|bra|bar|red|ret|\\.)[a-z][\\w.:]*)\\s+(" + TEMPORARY + "), (.*);");
    private static final Pattern WORD = Pattern.compile("[A-Za-z_]\\w*");
    private static final Pattern C_COMMUTATIVE = Pattern.compile("(\\S+) ([+*&|^]) (\\S+)");
    private static final Pattern C_COMMUTATIVE_CALL = Pattern.compile("(f?min|f?max|fma)\\((\\S+), (\\S+?)(, .*)?\\)");
    private static final Pattern PTX_COMMUTATIVE = Pattern.compile("(?:add|mul|mad|fma|min|max|and|or|xor)\\..*");
    private static final Pattern DECLARATION = Pattern.compile(
            "(?:\\.reg .*|(?:unsigned )?\\w+(?: long)? " + TEMPORARY + "(?:, " + TEMPORARY + ")*\\s*;)");
    private static final Pattern PARAMETERS = Pattern.compile("\\((.*)\\)");
    private static final Pattern PARAMETER = Pattern.compile("(\\w+)\\s*$");
    private static final Pattern LABEL = Pattern.compile("(\\w+):");
    private static final Set<String> PURE_OF_MEMORY = Set.of("ld.param", "ld.const");

    static CanonicalText of(String text) {
        List<String> statements = text.lines()
                .map(line -> line.replaceAll("//.*", "").strip())
                .filter(line -> !line.isEmpty() && !DECLARATION.matcher(line).matches())
                .toList();
        Names values = new Names();
        Matcher parameters = PARAMETERS.matcher(statements.getFirst());
        if (!parameters.find()) {
            throw new IllegalArgumentException("Not a kernel: " + statements.getFirst());
        }
        for (String parameter : parameters.group(1).split(",")) {
            Matcher name = PARAMETER.matcher(parameter);
            if (name.find()) {
                values.name(name.group(1), "P");
            }
        }
        Map<String, Integer> assignments = new HashMap<>();
        for (String statement : statements) {
            Matcher assignment = C_ASSIGNMENT.matcher(statement);
            Matcher instruction = PTX_INSTRUCTION.matcher(statement);
            if (assignment.matches()) {
                assignments.merge(assignment.group(1), 1, Integer::sum);
            } else if (instruction.matches()) {
                assignments.merge(instruction.group(2), 1, Integer::sum);
            }
        }
        List<String> lines = new ArrayList<>();
        for (String statement : statements.subList(1, statements.size())) {
            Matcher assignment = C_ASSIGNMENT.matcher(statement);
            Matcher instruction = PTX_INSTRUCTION.matcher(statement);
            if (assignment.matches()) {
                String expression = sorted(named(assignment.group(2), values));
                boolean memory = expression.contains("*((") || expression.contains("asm");
                assign(assignment.group(1), expression, memory, assignments, values, lines);
            } else if (instruction.matches()) {
                String operation = instruction.group(1);
                String operands = named(instruction.group(3), values);
                if (PTX_COMMUTATIVE.matcher(operation).matches()) {
                    String[] parts = operands.split(", ");
                    Arrays.sort(parts, 0, 2);
                    operands = String.join(", ", parts);
                }
                boolean memory =
                        operation.startsWith("ld.") && PURE_OF_MEMORY.stream().noneMatch(operation::startsWith);
                assign(instruction.group(2), operation + " " + operands, memory, assignments, values, lines);
            } else {
                Matcher label = LABEL.matcher(statement);
                if (label.matches()) {
                    values.name(label.group(1), "L");
                }
                lines.add(named(statement, values));
            }
        }
        return new CanonicalText(lines);
    }

    private static void assign(
            String name,
            String expression,
            boolean memory,
            Map<String, Integer> assignments,
            Names values,
            List<String> lines) {
        if (assignments.get(name) > 1) {
            lines.add(values.name(name, "V") + " = " + expression);
        } else {
            if (memory) {
                lines.add(expression);
            }
            values.known.put(name, "%" + digestOf(expression));
        }
    }

    private static String named(String text, Names values) {
        return WORD.matcher(text).replaceAll(word -> {
            boolean isTemporary = word.group().matches(TEMPORARY);
            String name = isTemporary ? values.name(word.group(), "V") : values.known.get(word.group());
            return Matcher.quoteReplacement(name == null ? word.group() : name);
        });
    }

    private static String sorted(String expression) {
        Matcher operation = C_COMMUTATIVE.matcher(expression);
        if (operation.matches()) {
            String[] operands = {operation.group(1), operation.group(3)};
            Arrays.sort(operands);
            return operands[0] + " " + operation.group(2) + " " + operands[1];
        }
        Matcher call = C_COMMUTATIVE_CALL.matcher(expression);
        if (call.matches()) {
            String[] operands = {call.group(2), call.group(3)};
            Arrays.sort(operands);
            String rest = call.group(4) == null ? "" : call.group(4);
            return call.group(1) + "(" + operands[0] + ", " + operands[1] + rest + ")";
        }
        return expression;
    }

    /** Of the lines in any order: within a kernel TornadoVM's order follows from what depends on what, and from chance. */
    String digest() {
        return digestOf(lines.stream().sorted().collect(Collectors.joining("\n")));
    }

    /** How many lines there are of each kind, such as loads and barriers: what a difference is about. */
    String summary() {
        Map<String, Integer> kinds = new TreeMap<>();
        for (String line : lines) {
            kinds.merge(kind(line), 1, Integer::sum);
        }
        return kinds.entrySet().stream()
                .map(kind -> kind.getKey() + "=" + kind.getValue())
                .collect(Collectors.joining(" "));
    }

    private static String kind(String line) {
        if (line.matches("(?s).*asm.*")) {
            return "asm";
        }
        if (line.matches("(?s)V\\d+ = .*")) {
            return "merges";
        }
        if (line.matches("(?s).*(syncthreads|barrier|bar\\.sync|fence).*")) {
            return "barriers";
        }
        if (line.matches("(?s)(for|if|else|while|bra|@|L\\d+:|break).*")) {
            return "branches";
        }
        if (line.matches("(?s)(\\*\\(\\(|ld\\.).*") && !line.contains(" = ")) {
            return "loads";
        }
        if (line.matches("(?s)(st\\.).*|.* = .*")) {
            return "stores";
        }
        return "others";
    }

    private static String digestOf(String text) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash, 0, 8);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Java has SHA-256", e);
        }
    }

    /** What stands for the names of a text: names of its own for each kind, in the order in which they come. */
    private static final class Names {

        final Map<String, String> known = new HashMap<>();
        private final Map<String, Integer> counts = new HashMap<>();

        String name(String name, String kind) {
            return known.computeIfAbsent(name, _ -> kind + counts.merge(kind, 1, Integer::sum));
        }
    }
}
