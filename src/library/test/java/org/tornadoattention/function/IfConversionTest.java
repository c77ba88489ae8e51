package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.MethodModel;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.BlockMask;
import org.tornadoattention.Mask;
import org.tornadoattention.MaskFunction;
import org.tornadoattention.ScoreFunction;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.Score;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * Functions whose conditions are numbers are the functions that were written, and have no jumps that share a target.
 */
class IfConversionTest {

    private static final int TOKENS = 30;
    private static final int GENERATED = Integer.getInteger("attention.conditions", 150);
    private static final long SEED = Long.getLong("attention.conditionSeed", 1);

    /** The score that a kernel has for a pair, by the class that stands in for the hooks. */
    private static MethodHandle score(AttentionOptions options) throws ReflectiveOperationException {
        FunctionForm form = UserFunctions.of(options).form();
        MethodHandles.Lookup inside = MethodHandles.privateLookupIn(Functions.class, MethodHandles.lookup())
                .defineHiddenClass(form.classFile(), true);
        MethodType type =
                MethodType.methodType(float.class, float.class, int.class, int.class, int.class, int.class, int.class);
        MethodHandle score =
                inside.findStatic(inside.lookupClass(), FunctionClass.SCORE, type.appendParameterTypes(form.arrays()));
        return MethodHandles.insertArguments(
                score, type.parameterCount(), UserFunctions.arrays(options).toArray());
    }

    private static void check(String what, AttentionOptions options, int queries, int keys, int pairs, long seed)
            throws Throwable {
        SplittableRandom random = new SplittableRandom(seed);
        options.mask().blockMasks().forEach(BlockMask::density);
        MethodHandle score = score(options);
        for (int pair = 0; pair < pairs; pair++) {
            float s = (float) random.nextGaussian(0, 2);
            int batch = random.nextInt(2);
            int head = random.nextInt(FunctionsTest.HEADS);
            int query = random.nextInt(queries);
            int key = random.nextInt(keys);
            int position = query + keys - queries;
            boolean seen = options.mask().condition().isEmpty()
                    || options.mask().condition().get().sees(batch, head, query, key, position);
            float biased = s;
            if (options.bias().isPresent()) {
                var bias = options.bias().get();
                biased += bias.get(bias.dimension(0) == 1 ? 0 : batch, bias.dimension(1) == 1 ? 0 : head, query, key);
            }
            float scored = biased;
            if (options.score().isPresent()) {
                scored = options.score().get().apply(biased, batch, head, query, key);
            }
            float converted = (float) score.invokeExact(s, batch, head, query, key, position);
            float expected = seen ? scored : Score.NO_SCORE;
            assertThat(isSame(converted, expected))
                    .as(
                            "%s at score %s, entry %d, head %d, query %d, key %d: %s rather than %s",
                            what, s, batch, head, query, key, converted, expected)
                    .isTrue();
        }
    }

    /** Of tanh kernels have another approximation. */
    private static boolean isSame(float one, float other) {
        return Float.compare(one, other) == 0 || Math.abs(one - other) <= 1e-6f * Math.max(1, Math.abs(other));
    }

    static Stream<String> functions() {
        return FunctionsTest.functions().keySet().stream();
    }

    @ParameterizedTest
    @MethodSource("functions")
    void areWhatWasWritten(String functions) throws Throwable {
        AttentionOptions options = FunctionsTest.functions().get(functions);
        check(functions, options, FunctionsTest.QUERIES, FunctionsTest.KEYS, 300, SEED);
    }

    @Test
    void compositionsAreWhatWasWritten() throws Throwable {
        for (long seed = SEED; seed < SEED + 60; seed++) {
            SplittableRandom random = new SplittableRandom(seed);
            AttentionOptions options = AttentionOptions.defaults()
                    .withMask(RandomCompositionsTest.mask(random, TOKENS, 2, FunctionsTest.HEADS, TOKENS, TOKENS)
                            .value())
                    .withScore(RandomCompositionsTest.score(random, TOKENS).value());
            check("composition " + seed, options, TOKENS, TOKENS, 100, seed);
        }
    }

    /** The masks that CUDA and PTX had wrong, others that guard what they read, and block masks among them. */
    static Map<String, Mask> masks() {
        IntArray ids = new IntArray(TOKENS);
        for (int i = 0; i < TOKENS; i++) {
            ids.set(i, i / 7);
        }
        IntArray few = IntArray.fromElements(3, 1, 4, 1, 5);
        int after = 5;
        int zero = 0;
        MaskFunction guarded = (b, h, i, j) -> few.get(j) > h;
        Map<String, Mask> masks = new HashMap<>();
        masks.put("&& and ||", Mask.of((b, h, i, j) -> ids.get(i) == ids.get(j) && (h == 0 || j <= i + after)));
        masks.put("four &&", Mask.of((b, h, i, j) -> i >= 4 && i < 18 && j >= 8 && j < 22));
        masks.put("an index", Mask.of((b, h, i, j) -> j < few.getSize() && few.get(j) > i % 3 || i == j));
        masks.put("a divisor", Mask.of((b, h, i, j) -> j != 3 && i % (j - 3) == 0 && zero == 0));
        masks.put("a divisor that is 0", Mask.of((b, h, i, j) -> zero != 0 && i % zero == 0 || j < i));
        masks.put("and", Mask.of((b, h, i, j) -> j < 5).and(Mask.of(guarded)));
        masks.put("or", Mask.of((b, h, i, j) -> j >= 5).or(Mask.of(guarded)).not());
        masks.put(
                "and not or",
                Mask.of((b, h, i, j) -> i < 9 && j < 5)
                        .and(Mask.of(guarded).not().or(Mask.window(3, 2).and(Mask.of(guarded)))));
        masks.put(
                "blocks",
                Mask.of((b, h, i, j) -> i > 2 || j > 3)
                        .and(Mask.blocks(BlockMask.of(
                                (b, h, i, j) -> i / 5 == j / 5 && (h < 2 || b > 0 && j < i),
                                2,
                                4,
                                TOKENS,
                                TOKENS,
                                4,
                                8))));
        return masks;
    }

    static Stream<String> namesOfMasks() {
        return masks().keySet().stream().sorted();
    }

    @ParameterizedTest
    @MethodSource("namesOfMasks")
    void masksAreWhatWasWritten(String name) throws Throwable {
        Mask mask = masks().get(name);
        check(name, AttentionOptions.defaults().withMask(mask), TOKENS, TOKENS, 900, SEED);
    }

    /** Nested conditions in all shapes that javac has for them. */
    @Test
    void generatedFunctionsAreWhatWasWritten() throws Throwable {
        ConditionsGenerator generated = ConditionsGenerator.compile(SEED, GENERATED);
        for (int n = 0; n < GENERATED; n++) {
            AttentionOptions masked = AttentionOptions.defaults().withMask(generated.mask(n));
            check(generated.textOfMask(n), masked, TOKENS, TOKENS, 120, SEED + n);
            ScoreFunction function = generated.score(n);
            check(
                    generated.textOfScore(n),
                    AttentionOptions.defaults().withScore(function),
                    TOKENS,
                    TOKENS,
                    120,
                    SEED + n);
        }
    }

    /**
     * A conditional jump that is left chooses between two numbers that are there, and shares its target with no other.
     */
    @Test
    void noJumpIsLeft() {
        for (Map.Entry<String, Mask> mask : masks().entrySet()) {
            if (mask.getKey().equals("blocks")) {
                continue;
            }
            AttentionOptions options = AttentionOptions.defaults().withMask(mask.getValue());
            byte[] bytes = UserFunctions.of(options).form().classFile();
            int choices = 0;
            for (MethodModel method : ClassFile.of().parse(bytes).methods()) {
                if (method.methodName().stringValue().contains("lambda")
                        || method.methodName().equalsString("sees")) {
                    choices += choices(mask.getKey(), method);
                }
            }
            assertThat(choices).as(mask.getKey()).isPositive();
        }
    }

    private static int choices(String what, MethodModel method) {
        List<Instruction> instructions = new ArrayList<>();
        for (CodeElement element : method.code().orElseThrow()) {
            if (element instanceof Instruction instruction) {
                instructions.add(instruction);
            }
        }
        int found = 0;
        for (int at = 0; at < instructions.size(); at++) {
            if (instructions.get(at) instanceof BranchInstruction branch && IfConversion.isConditional(branch)) {
                assertThat(instructions.get(at + 1)).as(what).isInstanceOfAny(PUSHES);
                assertThat(instructions.get(at + 2)).as(what).isInstanceOf(BranchInstruction.class);
                assertThat(instructions.get(at + 3)).as(what).isInstanceOfAny(PUSHES);
                found++;
            }
        }
        return found;
    }

    private static final Class<?>[] PUSHES = {ConstantInstruction.class, LoadInstruction.class};
}
