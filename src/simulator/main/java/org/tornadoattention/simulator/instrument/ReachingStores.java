package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeModel;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.ExceptionCatch;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Finds out, for each load of an object, which store gave the variable its value. Where the forge has written phases
 * into a kernel, variables of several phases share a slot.
 */
final class ReachingStores {

    /** No store has given the variable its value, or one of several. */
    private static final int UNKNOWN = -1;

    private final MethodAnalysis method;
    private final List<CodeElement> elements;
    /** By place of a label, what each slot holds there; null where nothing has come yet. */
    private final int[][] atLabel;

    private final int slots;
    private final Map<Integer, Integer> ofLoads = new HashMap<>();
    private boolean changed;

    ReachingStores(MethodAnalysis method, CodeModel code) {
        this.method = method;
        this.elements = method.elements();
        this.atLabel = new int[elements.size() + 1][];
        this.slots = elements.stream()
                        .mapToInt(element -> element instanceof StoreInstruction store ? store.slot() : 0)
                        .max()
                        .orElse(0)
                + 1;
        for (ExceptionCatch handler : code.exceptionHandlers()) {
            atLabel[method.position(handler.handler())] = nothing();
        }
    }

    /** Returns, by the place of a load of an object, that of the store; negative if it is not one for sure. */
    Map<Integer, Integer> ofLoads() {
        do {
            changed = false;
            walk();
        } while (changed);
        return ofLoads;
    }

    private int[] nothing() {
        int[] nothing = new int[slots];
        Arrays.fill(nothing, UNKNOWN);
        return nothing;
    }

    private void walk() {
        int[] state = nothing();
        for (int i = 0; i < elements.size(); i++) {
            if (elements.get(i) instanceof LabelTarget) {
                arrive(i, state);
                state = atLabel[i] == null ? null : atLabel[i].clone();
            }
            if (elements.get(i) instanceof LoadInstruction load && load.typeKind() == TypeKind.REFERENCE) {
                ofLoads.put(i, state == null || load.slot() >= slots ? UNKNOWN : state[load.slot()]);
            }
            if (state == null) {
                continue;
            }
            if (elements.get(i) instanceof StoreInstruction store) {
                state[store.slot()] = store.typeKind() == TypeKind.REFERENCE ? i : UNKNOWN;
            }
            for (int target : method.targets(i)) {
                arrive(target, state);
            }
            state = method.fallsThrough(i) ? state : null;
        }
    }

    private void arrive(int label, int[] state) {
        if (state == null) {
            return;
        }
        if (atLabel[label] == null) {
            atLabel[label] = state.clone();
            changed = true;
            return;
        }
        for (int slot = 0; slot < slots; slot++) {
            if (atLabel[label][slot] != state[slot] && atLabel[label][slot] != UNKNOWN) {
                atLabel[label][slot] = UNKNOWN;
                changed = true;
            }
        }
    }
}
