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
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * The text that TornadoVM generates for a kernel, up to what says nothing about its speed: the names of temporaries and
 * of parameters, the order of what does not depend on each other, and which factor or summand comes first.
 *
 * <p>A temporary that is assigned once and computed without memory is replaced by a digest of its expression. What is
 * left are loads, stores, barriers, other instructions, control flow, and variables that are assigned in several
 * places.
 *
 * @param lines what is left, in the order of the text
 */
record CanonicalText(List<String> lines) {

    /** {@code i_12} or {@code v2hf_12}, or {@code rsi12} in PTX. */
    private static final String TEMPORARY = "(?:[a-z]{1,5}(?:\\d+[a-z]{0,3})?_\\d+|r[a-z]{1,3}(?:Arr)?\\d+)";

    private static final Pattern C_ASSIGNMENT = Pattern.compile("(" + TEMPORARY + ")\\s+=\\s+(.*);");
    private static final Pattern PTX_INSTRUCTION =
            Pattern.compile("((?!st\\.|bra|bar|red|ret|\\.)[a-z][\\w.:]*)\\s+(" + TEMPORARY + "), (.*);");
    private static final Pattern WORD = Pattern.compile("[A-Za-z_]\\w*");
    private static final Pattern C_COMMUTATIVE = Pattern.compile("(\\S+) ([+*&|^]) (\\S+)");
    private static final Pattern C_COMMUTATIVE_CALL = Pattern.compile("(f?min|f?max|fma)\\((\\S+), (\\S+?)(, .*)?\\)");
    private static final Pattern PTX_COMMUTATIVE = Pattern.compile("(?:add|mul|mad|fma|min|max|and|or|xor)\\..*");
    private static final Pattern DECLARATION =
            Pattern.compile("(?:\\.reg |(?:unsigned )?[a-z_]\\w*(?: long)? " + TEMPORARY + "[,;])[^=(\\[]*");
    private static final Pattern PARAMETERS = Pattern.compile("\\((.*)\\)");
    private static final Pattern PARAMETER = Pattern.compile("(\\w+)\\s*$");
    private static final Pattern LABEL = Pattern.compile("(\\w+):");
    private static final Pattern ARRAY = Pattern.compile("(.*?\\W)(" + TEMPORARY + ")(\\[.*|\\s+=.*)");
    private static final Pattern MEMORY = Pattern.compile("(?s)(?!ld\\.param).*(?:\\*\\(\\(|asm|ld\\.).*");
    private static final int ROUNDS = 4;

    static CanonicalText of(String text) {
        List<String> statements = text.lines()
                .map(line -> line.replaceAll("//.*", "").strip())
                .filter(line -> !line.isEmpty() && !DECLARATION.matcher(line).matches())
                .toList();
        Map<String, String> names = parameters(statements.getFirst());
        // What is assigned in several places is known by what is assigned, which may be known by it in turn.
        List<String> lines = List.of();
        for (int round = 0; round < ROUNDS; round++) {
            Rewriting rewriting = new Rewriting(names);
            lines = rewriting.rewrite(statements.subList(1, statements.size()));
            names = rewriting.namesByContent();
        }
        return new CanonicalText(lines);
    }

    private static Map<String, String> parameters(String head) {
        Matcher parameters = PARAMETERS.matcher(head);
        if (!parameters.find()) {
            throw new IllegalArgumentException("Not a kernel: " + head);
        }
        Map<String, String> names = new HashMap<>();
        for (String parameter : parameters.group(1).split(",")) {
            Matcher name = PARAMETER.matcher(parameter);
            if (name.find()) {
                names.put(name.group(1), "P" + names.size());
            }
        }
        return names;
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

    /**
     * Of the lines in any order: within a kernel TornadoVM's order follows from what depends on what, and from chance.
     */
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
        if (line.matches("(?s)V\\w* = .*")) {
            return "merges";
        }
        if (line.matches("(?s).*(syncthreads|barrier|bar\\.sync|fence).*")) {
            return "barriers";
        }
        if (line.matches("(?s)(for|if|else|while|bra|@|L:|break).*")) {
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

    /** A pass over the text that gives each name what stands for it. */
    private static final class Rewriting {

        private final Map<String, String> given;
        private final Map<String, String> expressions = new HashMap<>();
        private final Map<String, List<String>> contents = new TreeMap<>();
        private final List<String> lines = new ArrayList<>();

        Rewriting(Map<String, String> given) {
            this.given = given;
        }

        List<String> rewrite(List<String> statements) {
            Map<String, Integer> assignments = new HashMap<>();
            for (String statement : statements) {
                String name = assigned(statement);
                if (name != null) {
                    assignments.merge(name, 1, Integer::sum);
                }
            }
            for (String statement : statements) {
                String name = assigned(statement);
                if (name == null) {
                    other(statement);
                } else if (assignments.get(name) > 1) {
                    String expression = expression(statement);
                    contents.computeIfAbsent(name, _ -> new ArrayList<>()).add(expression);
                    lines.add(given.getOrDefault(name, "V") + " = " + expression);
                } else {
                    String expression = expression(statement);
                    if (MEMORY.matcher(expression).matches()) {
                        lines.add(expression);
                    }
                    expressions.put(name, "%" + digestOf(expression));
                }
            }
            return lines;
        }

        /** Parameters, and for what is assigned in several places a digest of all that is. */
        Map<String, String> namesByContent() {
            Map<String, String> names = new HashMap<>(given);
            contents.forEach((name, content) ->
                    names.put(name, "V" + digestOf(content.stream().sorted().collect(Collectors.joining("\n")))));
            return names;
        }

        private static String assigned(String statement) {
            Matcher assignment = C_ASSIGNMENT.matcher(statement);
            Matcher instruction = PTX_INSTRUCTION.matcher(statement);
            return assignment.matches() ? assignment.group(1) : instruction.matches() ? instruction.group(2) : null;
        }

        private String expression(String statement) {
            Matcher assignment = C_ASSIGNMENT.matcher(statement);
            if (assignment.matches()) {
                return sorted(named(assignment.group(2)));
            }
            Matcher instruction = PTX_INSTRUCTION.matcher(statement);
            if (!instruction.matches()) {
                throw new IllegalArgumentException(statement);
            }
            String operation = instruction.group(1);
            String[] operands = named(instruction.group(3)).split(", ");
            if (PTX_COMMUTATIVE.matcher(operation).matches()) {
                Arrays.sort(operands, 0, 2);
            }
            return operation + " " + String.join(", ", operands);
        }

        /** A statement that gives no name a value: a store, control flow, or the declaration of an array or a label. */
        private void other(String statement) {
            Matcher declaration = ARRAY.matcher(statement);
            if (declaration.matches()) {
                String shape = declaration.group(1) + declaration.group(3);
                expressions.put(declaration.group(2), "A" + digestOf(named(shape)));
            }
            Matcher label = LABEL.matcher(statement);
            if (label.matches()) {
                expressions.put(label.group(1), "L");
            }
            lines.add(named(statement));
        }

        private String named(String text) {
            return WORD.matcher(text).replaceAll(word -> {
                String name = word.group();
                String value = given.getOrDefault(name, expressions.get(name));
                boolean isLabel = name.startsWith("BLOCK_") || name.startsWith("LOOP_COND_");
                if (value == null && (isLabel || name.matches(TEMPORARY))) {
                    value = isLabel ? "L" : "V";
                }
                return Matcher.quoteReplacement(value == null ? name : value);
            });
        }
    }
}
