package org.tornadoattention;

import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Shares out tests, each invocation of a parameterised one for itself, among several JVMs: with
 * {@code -Dattention.shard=3/16} a JVM runs its sixteenth of them. JUnit finds this class as a service.
 */
public final class Shard implements ExecutionCondition {

    private static final String PROPERTY = "attention.shard";
    private static final Pattern SHARD = Pattern.compile("([1-9]\\d{0,3})/([1-9]\\d{0,3})");

    /** What JUnit adds to the name of a test, or of an invocation, and not to what holds several. */
    private static final Pattern ONE_TEST =
            Pattern.compile("\\[(method|test-template-invocation|dynamic-test):[^\\[]*]$");

    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
        String shard = context.getConfigurationParameter(PROPERTY).orElse("1/1");
        Matcher numbers = SHARD.matcher(shard);
        if (!numbers.matches() || Integer.parseInt(numbers.group(1)) > Integer.parseInt(numbers.group(2))) {
            throw new IllegalArgumentException(
                    "-D" + PROPERTY + "=" + shard + ": give a number and how many there are, such as 3/16.");
        }
        int number = Integer.parseInt(numbers.group(1)) - 1;
        int of = Integer.parseInt(numbers.group(2));
        boolean mine = !ONE_TEST.matcher(context.getUniqueId()).find()
                || new SplittableRandom(context.getUniqueId().hashCode()).nextInt(of) == number;
        return mine
                ? ConditionEvaluationResult.enabled("of shard " + shard)
                : ConditionEvaluationResult.disabled("of another shard than " + shard);
    }
}
