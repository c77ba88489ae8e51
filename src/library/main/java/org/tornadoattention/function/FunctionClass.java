package org.tornadoattention.function;

import static org.tornadoattention.function.KnownMethods.describe;

import java.lang.classfile.ClassBuilder;
import java.lang.classfile.ClassFile;
import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.TypeKind;
import java.lang.classfile.attribute.SourceFileAttribute;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LineNumber;
import java.lang.classfile.instruction.LocalVariable;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.tornadoattention.intrinsic.Warp;
import org.tornadoattention.kernel.parts.BlockTiles;
import org.tornadoattention.kernel.parts.DenseBias;
import org.tornadoattention.kernel.parts.Functions;
import org.tornadoattention.kernel.parts.Score;
import org.tornadoattention.tensor.DType;
import uk.ac.manchester.tornado.api.math.TornadoMath;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/**
 * The class that stands in for {@link Functions} where there are functions: the same methods, with the captured arrays
 * as further parameters, and copies of the functions and of all that they call.
 */
final class FunctionClass {

    static final ClassDesc NAME = describe(Functions.class);

    static final String SCORE = "score";
    static final String SLOPE = "slope";
    private static final String WEIGHT = "weight";
    private static final String SEES = "sees";
    private static final String BIASED = "ofBiased";
    private static final int STATIC = ClassFile.ACC_PUBLIC | ClassFile.ACC_STATIC;

    /** Where the parameters of {@link Functions#score} are. */
    private static final int BATCH = 1;

    private static final int KEY = 4;
    private static final int POSITION = 5;
    private static final int FIRST_ARRAY = 6;

    private final FunctionForm form;
    private final List<ClassDesc> arrays;
    private final Map<Method, String> names = new LinkedHashMap<>();
    private final Map<Tangent.Key, String> tangents = new LinkedHashMap<>();
    private final Deque<Tangent.Key> pending = new ArrayDeque<>();

    FunctionClass(FunctionForm form) {
        this.form = form;
        this.arrays = form.arrays().stream().map(KnownMethods::describe).toList();
        form.codes().stream()
                .flatMap(code -> FunctionCheck.methods(code).stream())
                .forEach(method -> names.computeIfAbsent(method, m -> m.name() + "$" + names.size()));
    }

    /** The type of a method that asks functions about a pair, given its type without arrays. */
    private MethodTypeDesc withArrays(MethodTypeDesc type) {
        return type.insertParameterTypes(type.parameterCount(), arrays.toArray(ClassDesc[]::new));
    }

    private static MethodTypeDesc ofPair(ClassDesc result) {
        return MethodTypeDesc.of(
                result,
                ConstantDescs.CD_float,
                ConstantDescs.CD_int,
                ConstantDescs.CD_int,
                ConstantDescs.CD_int,
                ConstantDescs.CD_int,
                ConstantDescs.CD_int);
    }

    byte[] bytes() {
        byte[] text = text();
        Map<String, Set<Integer>> functions = new HashMap<>();
        names.forEach((method, name) -> functions.put(name, notZero(method)));
        tangents.values().forEach(name -> functions.put(name, Set.of()));
        byte[] converted = IfConversion.of(text, functions);
        return form.intrinsics() ? WarpCalls.of(converted, areSmooth()) : converted;
    }

    /**
     * Whether no function makes a whole number of a float, nor compares floats: a last bit more or less is one of the
     * result too.
     */
    private boolean areSmooth() {
        return names.keySet().stream().flatMap(method -> method.code().stream()).noneMatch(WarpCalls::jumps);
    }

    /** The slots of the parameters that are given a number other than 0 whenever a method is asked. */
    private Set<Integer> notZero(Method method) {
        Set<Integer> slots = new HashSet<>();
        boolean isCalled = form.codes().stream()
                .flatMap(code -> FunctionCheck.methods(code).stream().skip(1))
                .anyMatch(method::equals);
        List<Code> asked = form.codes().stream()
                .filter(code -> Method.of(code).equals(method))
                .toList();
        int slot = 0;
        for (int i = 0; i < method.type().parameterCount() && !isCalled; i++) {
            int number = i;
            if (asked.stream().allMatch(code -> isNotZero(code.captured(), number))) {
                slots.add(slot);
            }
            slot += TypeKind.from(method.type().parameterType(i)).slotSize();
        }
        return slots;
    }

    private static boolean isNotZero(List<Code.Captured> captured, int number) {
        return number < captured.size()
                && captured.get(number) instanceof Code.Constant(Number value)
                && value.longValue() != 0;
    }

    /** As it is before conditions are numbers. */
    private byte[] text() {
        return ClassFile.of().build(NAME, builder -> {
            builder.withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_FINAL);
            form.codes().stream()
                    .findFirst()
                    .map(code -> SourceClass.of(code.owner()).file())
                    .ifPresent(file -> builder.with(SourceFileAttribute.of(file)));
            score(builder);
            form.mask().ifPresent(mask -> sees(builder, mask));
            ofSeen(builder);
            stateOfTile(builder);
            eights(builder);
            constant(builder, "arePresent", true);
            constant(
                    builder,
                    "changeScores",
                    form.score().isPresent() || form.bias().isPresent());
            constant(
                    builder,
                    "makeLarge",
                    form.score().isPresent()
                            || form.bias().filter(dtype -> dtype != DType.F16).isPresent());
            constant(builder, "hideKeys", form.mask().isPresent());
            constant(builder, "leaveTilesOut", form.leavesTilesOut());
            weight(builder);
            next(builder, "nextKey");
            next(builder, "nextQuery");
            slope(builder);
            names.forEach((method, name) -> copy(builder, method, name));
        });
    }

    /** A hidden key has no score, and its function is not asked. */
    private void score(ClassBuilder builder) {
        builder.withMethodBody(SCORE, withArrays(ofPair(ConstantDescs.CD_float)), STATIC, code -> {
            if (form.mask().isPresent()) {
                whereSeen(code, () -> code.loadConstant(Score.NO_SCORE).freturn());
            }
            changed(code);
            code.freturn();
        });
    }

    /** Goes on where the key is seen, and does something else where it is hidden. */
    private void whereSeen(CodeBuilder code, Runnable otherwise) {
        Label visible = code.newLabel();
        code.fload(0);
        loadPair(code);
        code.iload(POSITION);
        loadArrays(code);
        code.invokestatic(NAME, SEES, withArrays(ofPair(ConstantDescs.CD_int))).ifne(visible);
        otherwise.run();
        code.labelBinding(visible);
    }

    private void ofSeen(ClassBuilder builder) {
        builder.withMethodBody("ofSeen", withArrays(ofPair(ConstantDescs.CD_float)), STATIC, code -> {
            changed(code);
            code.freturn();
        });
    }

    /** What reads biases by eights. */
    private void eights(ClassBuilder builder) {
        boolean given = form.intrinsics() && form.hasNarrowBias();
        constant(builder, "addBiases", given);
        builder.withMethodBody("areEights", withArrays(ints(0)), STATIC, code -> {
            if (given) {
                code.aload(arrays.size() - 1)
                        .invokestatic(
                                describe(DenseBias.class),
                                "areEights",
                                MethodTypeDesc.of(ConstantDescs.CD_int, arrays.getLast()));
            } else {
                code.iconst_0();
            }
            code.ireturn();
        });
        MethodTypeDesc ofPair = ints(4);
        builder.withMethodBody("elementOfBias", withArrays(ofPair), STATIC, code -> {
            if (given) {
                for (int slot = 0; slot < ofPair.parameterCount(); slot++) {
                    code.iload(slot);
                }
                code.aload(ofPair.parameterCount() + arrays.size() - 1)
                        .invokestatic(
                                describe(DenseBias.class),
                                "element",
                                ofPair.insertParameterTypes(ofPair.parameterCount(), arrays.getLast()));
            } else {
                code.iconst_0();
            }
            code.ireturn();
        });
        ClassDesc registers = ConstantDescs.CD_int.arrayType();
        MethodTypeDesc ofElement =
                ints(4).changeReturnType(ConstantDescs.CD_void).insertParameterTypes(0, registers);
        builder.withMethodBody("loadEight", withArrays(ofElement), STATIC, code -> {
            if (given) {
                code.aload(0)
                        .iload(1)
                        .aload(ofElement.parameterCount() + arrays.size() - 2)
                        .iload(2)
                        .iload(3)
                        .iload(4)
                        .invokestatic(
                                describe(Warp.class),
                                "loadEight",
                                ofElement.insertParameterTypes(2, arrays.get(arrays.size() - 2)));
            }
            code.return_();
        });
        builder.withMethodBody("copyEight", withArrays(ofElement.dropParameterTypes(4, 5)), STATIC, code -> {
            if (given) {
                code.aload(0)
                        .iload(1)
                        .aload(ofElement.parameterCount() - 1 + arrays.size() - 2)
                        .iload(2)
                        .iload(3)
                        .invokestatic(
                                describe(Warp.class),
                                "copyAsync",
                                ofElement
                                        .dropParameterTypes(4, 5)
                                        .insertParameterTypes(2, arrays.get(arrays.size() - 2)));
            }
            code.return_();
        });
        MethodTypeDesc type =
                ofPair(ConstantDescs.CD_float).insertParameterTypes(1, ConstantDescs.CD_int, ConstantDescs.CD_int);
        builder.withMethodBody("ofSeenWith", withArrays(type), STATIC, code -> {
            code.fload(0);
            if (given) {
                code.iload(1)
                        .iload(2)
                        .loadConstant(Bias.features(form.bias().orElseThrow(), true))
                        .invokestatic(
                                describe(DenseBias.class),
                                "addOfPair",
                                MethodTypeDesc.of(
                                        ConstantDescs.CD_float,
                                        ConstantDescs.CD_float,
                                        ConstantDescs.CD_int,
                                        ConstantDescs.CD_int,
                                        ConstantDescs.CD_int));
            }
            for (int slot = BATCH; slot <= POSITION; slot++) {
                code.iload(slot + 2);
            }
            for (int i = 0; i < arrays.size(); i++) {
                code.aload(FIRST_ARRAY + 2 + i);
            }
            code.invokestatic(NAME, BIASED, withArrays(ofPair(ConstantDescs.CD_float)))
                    .freturn();
        });
        builder.withMethodBody(BIASED, withArrays(ofPair(ConstantDescs.CD_float)), STATIC, code -> {
            ofBiased(code);
            code.freturn();
        });
    }

    private static MethodTypeDesc ints(int count) {
        ClassDesc[] numbers = new ClassDesc[count];
        Arrays.fill(numbers, ConstantDescs.CD_int);
        return MethodTypeDesc.of(ConstantDescs.CD_int, numbers);
    }

    /** Leaves the score of a pair that nothing hides. */
    private void changed(CodeBuilder code) {
        addBias(code);
        ofBiased(code);
    }

    /** Leaves what the score function makes of a score with its bias. */
    private void ofBiased(CodeBuilder code) {
        if (form.score().isPresent()) {
            ofScore(code, form.score().get(), 0);
        } else {
            code.fload(0);
        }
    }

    private static void constant(ClassBuilder builder, String name, boolean value) {
        builder.withMethodBody(
                name,
                MethodTypeDesc.of(ConstantDescs.CD_boolean),
                STATIC,
                code -> code.loadConstant(value ? 1 : 0).ireturn());
    }

    /** The least of what the block masks say; where not they alone hide keys, a tile is never known to be full. */
    private void stateOfTile(ClassBuilder builder) {
        MethodTypeDesc type = ints(6);
        MethodTypeDesc ofTiles =
                ints(type.parameterCount() + BlockTiles.HEADER).insertParameterTypes(0, describe(IntArray.class));
        builder.withMethodBody("stateOfTile", withArrays(type), STATIC, code -> {
            boolean known = form.mask().map(Term::isOfBlocks).orElse(true);
            code.loadConstant(known ? BlockTiles.FULL : BlockTiles.PARTIAL);
            for (Term.Blocks blocks : form.mask().map(Term::decisive).orElse(List.of())) {
                code.aload(type.parameterCount() + blocks.firstArray());
                for (int slot = 0; slot < type.parameterCount(); slot++) {
                    code.iload(slot);
                }
                // As constants: who reads them first waits twice.
                for (int size : blocks.sizes()) {
                    code.loadConstant(size);
                }
                code.invokestatic(describe(BlockTiles.class), "state", ofTiles)
                        .invokestatic(
                                describe(TornadoMath.class),
                                "min",
                                MethodTypeDesc.of(ConstantDescs.CD_int, ConstantDescs.CD_int, ConstantDescs.CD_int));
            }
            code.ireturn();
        });
    }

    /** The score becomes that with the bias. */
    private void addBias(CodeBuilder code) {
        form.bias().ifPresent(dtype -> {
            code.fload(0);
            loadPair(code);
            code.aload(FIRST_ARRAY + arrays.size() - 2)
                    .aload(FIRST_ARRAY + arrays.size() - 1)
                    .loadConstant(Bias.features(dtype, form.intrinsics()))
                    .invokestatic(
                            describe(DenseBias.class),
                            "add",
                            MethodTypeDesc.of(
                                    ConstantDescs.CD_float,
                                    ConstantDescs.CD_float,
                                    ConstantDescs.CD_int,
                                    ConstantDescs.CD_int,
                                    ConstantDescs.CD_int,
                                    ConstantDescs.CD_int,
                                    arrays.get(arrays.size() - 2),
                                    arrays.getLast(),
                                    ConstantDescs.CD_int))
                    .fstore(0);
        });
    }

    private void sees(ClassBuilder builder, Term mask) {
        builder.withMethodBody(SEES, withArrays(ofPair(ConstantDescs.CD_int)), STATIC, code -> {
            term(code, mask, OptionalInt.empty());
            code.ireturn();
        });
    }

    private void weight(ClassBuilder builder) {
        MethodTypeDesc type = MethodTypeDesc.of(ConstantDescs.CD_float, ConstantDescs.CD_float, ConstantDescs.CD_float);
        builder.withMethodBody(WEIGHT, withArrays(type), STATIC, code -> {
            Label seen = code.newLabel();
            // A score that is no number hides nothing; Score.LEAST_SEEN says why this is no <=.
            code.fload(1).loadConstant(Score.LEAST_SEEN).fcmpg().ifge(seen);
            code.fconst_0().freturn().labelBinding(seen).fload(0).freturn();
        });
    }

    /** Goes on by one block mask after the other, each from where the one before led; all steps are of tiles. */
    private void next(ClassBuilder builder, String name) {
        MethodTypeDesc type = ints(7);
        MethodTypeDesc ofTiles = type.insertParameterTypes(0, describe(IntArray.class));
        builder.withMethodBody(name, withArrays(type), STATIC, code -> {
            for (Term.Blocks blocks : form.mask()
                    .filter(_ -> form.leavesTilesOut())
                    .map(Term::decisive)
                    .orElse(List.of())) {
                code.aload(type.parameterCount() + blocks.firstArray());
                for (int slot = 0; slot < type.parameterCount(); slot++) {
                    code.iload(slot);
                }
                code.invokestatic(describe(BlockTiles.class), name, ofTiles).istore(0);
            }
            code.iload(0).ireturn();
        });
    }

    /** Whether a score function, or its derivative, reads what there may not be, or divides whole numbers. */
    private boolean mayFail(Code score) {
        return Stream.concat(Stream.of(score), form.derivative().stream())
                .anyMatch(function -> !function.arrays().isEmpty()
                        || FunctionCheck.methods(function).stream()
                                .flatMap(method -> method.code().stream())
                                .anyMatch(FunctionClass::divides));
    }

    private static boolean divides(CodeElement element) {
        return element instanceof OperatorInstruction operator
                && switch (operator.opcode()) {
                    case IDIV, IREM, LDIV, LREM -> true;
                    default -> false;
                };
    }

    /** Returns the derivative where the key is seen. */
    private void slope(CodeBuilder code, Optional<Tangent.Key> found) {
        addBias(code);
        if (form.derivative().isPresent()) {
            ofScore(
                    code,
                    form.derivative().get(),
                    form.score().orElseThrow().arrays().size());
        } else if (found.isPresent()) {
            loadCaptured(code, form.score().orElseThrow(), 0);
            code.fload(0);
            loadPair(code);
            code.fconst_1()
                    .invokestatic(NAME, tangents.get(found.get()), found.get().type());
        } else {
            code.fconst_1();
        }
        code.freturn();
    }

    private void slope(ClassBuilder builder) {
        Optional<Tangent.Key> found =
                form.score().filter(_ -> form.derivative().isEmpty()).map(score -> Tangent.Key.ofScore(score));
        if (found.isPresent() && Tangent.obstacle(found.get()).isPresent()) {
            return;
        }
        found.ifPresent(this::tangent);
        builder.withMethodBody(SLOPE, withArrays(ofPair(ConstantDescs.CD_float)), STATIC, code -> {
            if (form.mask().isPresent() && form.score().filter(this::mayFail).isPresent()) {
                // Of a hidden key the function is not asked here either.
                whereSeen(code, () -> code.fconst_0().freturn());
            }
            slope(code, found);
        });
        builder.withMethodBody(
                "slopeOfSeen", withArrays(ofPair(ConstantDescs.CD_float)), STATIC, code -> slope(code, found));
        while (!pending.isEmpty()) {
            Tangent.Key key = pending.remove();
            builder.withMethodBody(tangents.get(key), key.type(), STATIC, code -> new Tangent(key, this).write(code));
        }
    }

    /** The name of the method that has a derivative. */
    String tangent(Tangent.Key key) {
        return tangents.computeIfAbsent(key, added -> {
            pending.add(added);
            return added.method().name() + "$slope$" + tangents.size();
        });
    }

    /** The name of the copy of a method. */
    String name(Method method) {
        return Objects.requireNonNull(names.get(method), "method");
    }

    private void ofScore(CodeBuilder code, Code function, int firstArray) {
        loadCaptured(code, function, firstArray);
        code.fload(0);
        loadPair(code);
        code.invokestatic(NAME, names.get(Method.of(function)), function.type());
    }

    private static void loadPair(CodeBuilder code) {
        for (int slot = BATCH; slot <= KEY; slot++) {
            code.iload(slot);
        }
    }

    private void loadArrays(CodeBuilder code) {
        for (int i = 0; i < arrays.size(); i++) {
            code.aload(FIRST_ARRAY + i);
        }
    }

    private static void loadCaptured(CodeBuilder code, Code function, int firstArray) {
        int array = firstArray;
        for (int i = 0; i < function.captured().size(); i++) {
            switch (function.captured().get(i)) {
                case Code.Array _ -> code.aload(FIRST_ARRAY + array++);
                case Code.Constant(Number value) ->
                    code.loadConstant(
                            switch (function.type().parameterType(i).descriptorString()) {
                                case "F" -> (Float) value.floatValue();
                                case "D" -> (Double) value.doubleValue();
                                case "J" -> (Long) value.longValue();
                                default -> (Integer) value.intValue();
                            });
            }
        }
    }

    /**
     * Leaves 1 where a term sees the pair, else 0.
     *
     * @param guard a variable that is 0 where the term is not asked, and gives either
     */
    private void term(CodeBuilder code, Term term, OptionalInt guard) {
        switch (term) {
            case Term.Call(Code function, int firstArray) -> {
                loadCaptured(code, function, firstArray);
                loadPair(code);
                callMask(code, function, guard);
            }
            case Term.Blocks blocks
            when blocks.function().isPresent() -> {
                // It decides in all tiles as in partial ones, and is less work than finding a pair's tile.
                Code function = blocks.function().get();
                loadCaptured(code, function, blocks.firstArray() + 1);
                loadShared(code, blocks.batch(), BATCH);
                loadShared(code, blocks.heads(), BATCH + 1);
                code.iload(BATCH + 2).iload(KEY);
                callMask(code, function, guard);
            }
            case Term.Blocks blocks -> {
                Label end = code.newLabel();
                if (guard.isPresent()) {
                    // A jump, since the states of tiles are to be asked first.
                    code.iload(guard.getAsInt()).dup().ifeq(end).pop();
                }
                given(code, blocks);
                code.labelBinding(end);
            }
            case Term.Window(int left, int right) -> window(code, left, right);
            case Term.And(Term one, Term other) -> {
                term(code, one, guard);
                both(code, other, guard, 0);
                code.iand();
            }
            case Term.Or(Term one, Term other) -> {
                term(code, one, guard);
                both(code, other, guard, 1);
                code.ior();
            }
            case Term.Not(Term negated) -> {
                term(code, negated, guard);
                code.iconst_1().ixor();
            }
        }
    }

    /** Leaves what a term says too, which is asked unless what is on the stack settles it. */
    private void both(CodeBuilder code, Term other, OptionalInt guard, int settled) {
        int asked = code.allocateLocal(TypeKind.INT);
        code.dup().loadConstant(settled).ixor();
        guard.ifPresent(slot -> code.iload(slot).iand());
        code.istore(asked);
        term(code, other, OptionalInt.of(asked));
    }

    private void callMask(CodeBuilder code, Code function, OptionalInt guard) {
        String name = names.get(Method.of(function));
        if (guard.isPresent()) {
            code.iload(guard.getAsInt())
                    .invokestatic(NAME, name + IfConversion.GUARDED, IfConversion.withGuard(function.type()));
        } else {
            code.invokestatic(NAME, name, function.type());
        }
    }

    /** Of a batch entry, or a head: the first where all share the tiles. */
    private static void loadShared(CodeBuilder code, int count, int slot) {
        if (count == 1) {
            code.iconst_0();
        } else {
            code.iload(slot);
        }
    }

    private static void given(CodeBuilder code, Term.Blocks blocks) {
        code.aload(FIRST_ARRAY + blocks.firstArray());
        loadPair(code);
        code.invokestatic(
                        describe(BlockTiles.class),
                        "state",
                        MethodTypeDesc.of(
                                ConstantDescs.CD_int,
                                describe(IntArray.class),
                                ConstantDescs.CD_int,
                                ConstantDescs.CD_int,
                                ConstantDescs.CD_int,
                                ConstantDescs.CD_int))
                .loadConstant(BlockTiles.FULL)
                .idiv();
    }

    private static void window(CodeBuilder code, int left, int right) {
        code.iconst_1();
        if (left >= 0) {
            within(code, POSITION, KEY, left);
        }
        if (right >= 0) {
            within(code, KEY, POSITION, right);
        }
    }

    /** Of the number on the stack leaves 0 where one is more than so far ahead of the other. */
    private static void within(CodeBuilder code, int ahead, int behind, int reach) {
        Label beyond = code.newLabel();
        Label known = code.newLabel();
        code.iload(ahead).iload(behind).isub().loadConstant(reach).if_icmpgt(beyond);
        code.iconst_1().goto_(known).labelBinding(beyond).iconst_0().labelBinding(known);
        code.iand();
    }

    private void copy(ClassBuilder builder, Method method, String name) {
        builder.withMethodBody(name, method.type(), STATIC, code -> {
            for (CodeElement element : method.code()) {
                switch (element) {
                    case InvokeInstruction call -> call(code, method, call);
                    case LabelTarget _, LineNumber _, LocalVariable _, Instruction _ -> code.with(element);
                    default -> {
                        // made anew
                    }
                }
            }
        });
    }

    private void call(CodeBuilder code, Method caller, InvokeInstruction call) {
        Optional<KnownMethods.Target> known = KnownMethods.mathematics(call).map(KnownMethods::exact);
        Optional<Method> own = caller.called(call);
        if (known.isPresent()) {
            code.invokestatic(
                    known.get().owner(), known.get().name(), known.get().type());
        } else if (own.isPresent()) {
            code.invokestatic(NAME, names.get(own.get()), own.get().type());
        } else {
            code.with(call);
        }
    }
}
