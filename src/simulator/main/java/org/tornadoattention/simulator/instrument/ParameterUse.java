package org.tornadoattention.simulator.instrument;

import java.lang.classfile.MethodModel;
import java.lang.classfile.TypeKind;
import java.lang.constant.ClassDesc;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Which parameters of a kernel, by position, are native arrays that it may read, and may write, itself or in the
 * methods that it calls. Where the code does not tell, it may.
 *
 * @param read the parameters that may be read
 * @param written the parameters that may be written
 * @param stored those of them of which the code tells that it sets their elements
 */
public record ParameterUse(BitSet read, BitSet written, BitSet stored) {

    /** Of a kernel whose code is not known. */
    public static final ParameterUse UNKNOWN = new ParameterUse(new BitSet(), new BitSet(), new BitSet());

    /** Copies the sets. */
    public ParameterUse {
        read = (BitSet) read.clone();
        written = (BitSet) written.clone();
        stored = (BitSet) stored.clone();
    }

    @Override
    public BitSet read() {
        return (BitSet) read.clone();
    }

    @Override
    public BitSet written() {
        return (BitSet) written.clone();
    }

    @Override
    public BitSet stored() {
        return (BitSet) stored.clone();
    }

    /** Returns the same of parameters that stand so many places behind. */
    ParameterUse behind(int places) {
        return new ParameterUse(behind(read, places), behind(written, places), behind(stored, places));
    }

    private static BitSet behind(BitSet parameters, int places) {
        BitSet moved = new BitSet();
        parameters.stream().forEach(parameter -> moved.set(parameter + places));
        return moved;
    }

    /** Returns how the method {@code kernel} of {@code owner}, given as name and descriptor, uses its parameters. */
    static ParameterUse of(KernelCode code, String owner, String kernel) {
        Map<String, Method> methods = new HashMap<>();
        code.parts()
                .forEach((name, part) -> part.model().methods().stream()
                        .filter(part::needs)
                        .forEach(method -> methods.put(
                                name + "." + KernelCode.key(method), new Method(method, code.analysis(method)))));
        methods.values().forEach(method -> method.callees(methods));
        boolean changed = true;
        while (changed) {
            changed = false;
            for (Method method : methods.values()) {
                changed |= method.learn();
            }
        }
        return methods.get(owner + "." + kernel).use();
    }

    /** A method: what is known of the parameters in its slots, and to which other methods it passes them. */
    private static final class Method {

        /** The arrays in {@code slots} become the parameter in {@code slot} of {@code callee}. */
        private record Flow(BitSet slots, Method callee, int slot) {}

        /** Null where it may do anything. */
        private final MethodAnalysis analysis;

        private final List<Integer> parameters = new ArrayList<>();
        private final BitSet arrays = new BitSet();
        private final BitSet read = new BitSet();
        private final BitSet written = new BitSet();
        private final BitSet stored = new BitSet();
        private final List<Flow> flows = new ArrayList<>();

        Method(MethodModel model, Optional<MethodAnalysis> found) {
            this.analysis = found.orElse(null);
            int slot = MethodAnalysis.firstParameter(model);
            for (ClassDesc type : model.methodTypeSymbol().parameterList()) {
                parameters.add(slot);
                arrays.set(slot, NativeOperation.storageOf(type) != null);
                slot += TypeKind.from(type).slotSize();
            }
            if (analysis == null) {
                mayDoAnything(arrays);
            } else {
                analysis.accesses().forEach(this::access);
                analysis.escaped().forEach(origin -> mayDoAnything(arraysBehind(origin)));
            }
        }

        private void access(Access access) {
            switch (access) {
                case Access.OfParameter array -> {
                    (array.operation().write() ? written : read).set(array.slot());
                    stored.set(array.slot(), array.operation().write() || stored.get(array.slot()));
                }
                case Access.OfSomeNativeArray array -> (array.operation().write() ? written : read).or(arrays);
                default -> {
                    // not of a native array
                }
            }
        }

        private void mayDoAnything(BitSet slots) {
            read.or(slots);
            written.or(slots);
        }

        private BitSet arraysBehind(int origin) {
            Integer slot = analysis.parameterBehind(origin);
            BitSet slots = new BitSet();
            if (slot == null) {
                slots.or(arrays);
            } else {
                slots.set(slot);
            }
            slots.and(arrays);
            return slots;
        }

        void callees(Map<String, Method> methods) {
            if (analysis == null) {
                return;
            }
            for (MethodAnalysis.Call call : analysis.calls()) {
                Method callee = methods.get(call.owner() + "." + call.key());
                for (int i = 0; i < call.arguments().size(); i++) {
                    if (call.passesArray(i)) {
                        BitSet slots = arraysBehind(call.arguments().get(i));
                        if (callee != null && call.isStatic()) {
                            flows.add(new Flow(slots, callee, callee.parameters.get(i)));
                        } else {
                            foreign(call.name(), slots);
                        }
                    }
                }
            }
        }

        /** What methods of TornadoVM and of the intrinsics do to arrays, as far as their names tell. */
        private void foreign(String name, BitSet slots) {
            if (!name.startsWith("store") && !name.startsWith("mmaStore") && !name.startsWith("simdgroupMatrixStore")) {
                read.or(slots);
            }
            if (!name.startsWith("copy") && !name.startsWith("asyncCopy") && !name.startsWith("simdgroupMatrixLoad")) {
                written.or(slots);
            }
        }

        boolean learn() {
            int before = read.cardinality() + written.cardinality() + stored.cardinality();
            for (Flow flow : flows) {
                if (flow.callee.read.get(flow.slot)) {
                    read.or(flow.slots);
                }
                if (flow.callee.written.get(flow.slot)) {
                    written.or(flow.slots);
                }
                if (flow.callee.stored.get(flow.slot) && flow.slots.cardinality() == 1) {
                    stored.or(flow.slots);
                }
            }
            return read.cardinality() + written.cardinality() + stored.cardinality() > before;
        }

        ParameterUse use() {
            ParameterUse use = new ParameterUse(new BitSet(), new BitSet(), new BitSet());
            for (int i = 0; i < parameters.size(); i++) {
                use.read.set(i, read.get(parameters.get(i)));
                use.written.set(i, written.get(parameters.get(i)));
                use.stored.set(i, stored.get(parameters.get(i)));
            }
            return use;
        }
    }
}
