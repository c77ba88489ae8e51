package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeModel;
import java.lang.classfile.TypeKind;
import java.lang.classfile.instruction.ExceptionCatch;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LoadInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.util.ArrayList;
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

    private static final int[] NOWHERE = {};

    /** An element that matters: a label, a load of an object, a store, or one that something else may come after. */
    private record Step(int index, CodeElement element, int[] targets, boolean fallsThrough) {}

    private final List<Step> steps = new ArrayList<>();
    /** By place of a label, what each slot holds there; null where nothing has come yet. */
    private final int[][] atLabel;

    private final int slots;
    private final Map<Integer, Integer> ofLoads = new HashMap<>();
    private boolean changed;

    ReachingStores(MethodAnalysis method, CodeModel code) {
        List<CodeElement> elements = method.elements();
        this.atLabel = new int[elements.size() + 1][];
        int slotsStored = 0;
        for (int i = 0; i < elements.size(); i++) {
            CodeElement element = elements.get(i);
            List<Integer> places = method.targets(i);
            int[] targets = places.isEmpty()
                    ? NOWHERE
                    : places.stream().mapToInt(target -> target).toArray();
            boolean fallsThrough = method.fallsThrough(i);
            boolean movesValues = element instanceof StoreInstruction
                    || element instanceof LoadInstruction load && load.typeKind() == TypeKind.REFERENCE;
            if (element instanceof LabelTarget || movesValues || targets.length > 0 || !fallsThrough) {
                steps.add(new Step(i, element, targets, fallsThrough));
            }
            if (element instanceof StoreInstruction store) {
                slotsStored = Math.max(slotsStored, store.slot() + 1);
            }
        }
        this.slots = slotsStored;
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
        for (Step step : steps) {
            int index = step.index;
            if (step.element instanceof LabelTarget) {
                arrive(index, state);
                state = atLabel[index] == null ? null : atLabel[index].clone();
            }
            if (step.element instanceof LoadInstruction load) {
                ofLoads.put(index, state == null || load.slot() >= slots ? UNKNOWN : state[load.slot()]);
            }
            if (state == null) {
                continue;
            }
            if (step.element instanceof StoreInstruction store) {
                state[store.slot()] = store.typeKind() == TypeKind.REFERENCE ? index : UNKNOWN;
            }
            for (int target : step.targets) {
                arrive(target, state);
            }
            state = step.fallsThrough ? state : null;
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
