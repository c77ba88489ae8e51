package org.tornadoattention.forge;

import java.lang.classfile.MethodModel;
import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * How the parameters of a method's text become those of a copy, and the slots of its variables with them: those that
 * stay come first, with the arrays that functions captured and the numbers that share a parameter, then the constants,
 * which are local variables, then the other variables.
 */
final class Parameters {

    private final MethodTypeDesc text;
    private final MethodTypeDesc type;
    private final Map<Integer, @Nullable Number> constants = new HashMap<>();
    private final Map<Integer, Integer> slots = new HashMap<>();
    private final Map<Integer, ClassDesc> types = new HashMap<>();
    private final List<Packed> packed = new ArrayList<>();
    private final int firstArray;
    private final int arrays;
    private final int end;
    private final int shift;

    /** Two ints of the text, by its slots, and where the long is that has them. */
    record Packed(int slot, int low, int high) {}

    /**
     * @param method the text
     * @param actual the type that each parameter is to have
     * @param values of the parameters that are constants, by number, null for an array that there is none of
     * @param added parameters that the text has not, before the others
     * @param arrays that functions captured, after the others
     * @param packing which share a parameter, after these
     */
    Parameters(
            MethodModel method,
            List<ClassDesc> actual,
            Map<Integer, @Nullable Number> values,
            List<ClassDesc> added,
            List<ClassDesc> arrays,
            Packing packing) {
        this.text = method.methodTypeSymbol();
        List<ClassDesc> kept = new ArrayList<>(added);
        int slot = 0;
        int next = added.size();
        int[] slotsOfText = new int[actual.size()];
        for (int i = 0; i < actual.size(); i++) {
            int size = TypeKind.from(text.parameterType(i)).slotSize();
            slotsOfText[i] = slot;
            if (!values.containsKey(i) && !packing.contains(i)) {
                slots.put(slot, next);
                types.put(slot, actual.get(i));
                kept.add(actual.get(i));
                next += size;
            }
            slot += size;
        }
        this.end = slot;
        this.firstArray = next;
        this.arrays = arrays.size();
        kept.addAll(arrays);
        next += arrays.size();
        for (Packing.Pair pair : packing.pairs()) {
            packed.add(new Packed(next, slotsOfText[pair.low()], slotsOfText[pair.high()]));
            kept.add(ConstantDescs.CD_long);
            next += 2;
        }
        slot = 0;
        for (int i = 0; i < actual.size(); i++) {
            int size = TypeKind.from(text.parameterType(i)).slotSize();
            if (values.containsKey(i) || packing.contains(i)) {
                slots.put(slot, next);
                types.put(slot, text.parameterType(i));
                if (values.containsKey(i)) {
                    constants.put(slot, values.get(i));
                }
                next += size;
            }
            slot += size;
        }
        this.shift = next - end;
        this.type = MethodTypeDesc.of(text.returnType(), kept);
    }

    /**
     * Parameters that all stay.
     *
     * @param arrays that functions captured, after the others
     */
    static Parameters of(MethodModel method, List<ClassDesc> actual, List<ClassDesc> arrays) {
        return new Parameters(method, actual, Map.of(), List.of(), arrays, new Packing(List.of()));
    }

    /**
     * Parameters of a phase that is written out: variables of the method that calls it, from one of its slots on.
     *
     * @param actual the type that each parameter is to have
     */
    Parameters ofPhase(MethodModel phase, List<ClassDesc> actual, int firstSlot) {
        return new Parameters(phase.methodTypeSymbol(), actual, firstSlot, this);
    }

    private Parameters(MethodTypeDesc phase, List<ClassDesc> actual, int firstSlot, Parameters caller) {
        this.text = phase;
        this.type = phase;
        this.firstArray = caller.firstArray;
        this.arrays = caller.arrays;
        this.shift = firstSlot;
        int slot = 0;
        for (int i = 0; i < actual.size(); i++) {
            slots.put(slot, firstSlot + slot);
            types.put(slot, actual.get(i));
            slot += TypeKind.from(phase.parameterType(i)).slotSize();
        }
        this.end = slot;
    }

    /** The numbers that share a parameter. */
    List<Packed> packed() {
        return packed;
    }

    /** How many arrays functions captured. */
    int arrays() {
        return arrays;
    }

    /** The slot of the first array that functions captured. */
    int firstArray() {
        return firstArray;
    }

    MethodTypeDesc type() {
        return type;
    }

    /** The values of parameters that are constants, by the text's slots. */
    Map<Integer, @Nullable Number> constants() {
        return constants;
    }

    /** Returns a copy's slot for one of the text. */
    int slot(int ofText) {
        return ofText < end ? Objects.requireNonNull(slots.get(ofText), "slot") : ofText + shift;
    }

    boolean isParameter(int ofText) {
        return ofText < end;
    }

    /** Whether a slot of the text is a parameter of the copy too. */
    boolean isKept(int ofText) {
        return isParameter(ofText)
                && !constants.containsKey(ofText)
                && packed.stream().noneMatch(pair -> pair.low() == ofText || pair.high() == ofText);
    }

    /** Returns what a parameter is in the copy, by the text's slot. */
    ClassDesc type(int ofText) {
        return Objects.requireNonNull(types.get(ofText), "type");
    }

    /** What is known where the method begins. */
    Flow entry() {
        Flow flow = new Flow();
        int slot = 0;
        for (ClassDesc declared : text.parameterList()) {
            if (!declared.equals(types.get(slot))) {
                flow.setVariable(slot, types.get(slot));
            }
            slot += TypeKind.from(declared).slotSize();
        }
        return flow;
    }
}
