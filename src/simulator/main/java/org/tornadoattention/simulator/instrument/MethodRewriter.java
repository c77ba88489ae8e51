package org.tornadoattention.simulator.instrument;

import java.lang.classfile.CodeBuilder;
import java.lang.classfile.CodeElement;
import java.lang.classfile.CodeTransform;
import java.lang.classfile.Instruction;
import java.lang.classfile.Label;
import java.lang.classfile.Opcode;
import java.lang.classfile.TypeKind;
import java.lang.classfile.attribute.RuntimeVisibleTypeAnnotationsAttribute;
import java.lang.classfile.instruction.BranchInstruction;
import java.lang.classfile.instruction.ConstantInstruction;
import java.lang.classfile.instruction.ConvertInstruction;
import java.lang.classfile.instruction.InvokeInstruction;
import java.lang.classfile.instruction.LabelTarget;
import java.lang.classfile.instruction.LookupSwitchInstruction;
import java.lang.classfile.instruction.NewPrimitiveArrayInstruction;
import java.lang.classfile.instruction.OperatorInstruction;
import java.lang.classfile.instruction.ReturnInstruction;
import java.lang.classfile.instruction.StoreInstruction;
import java.lang.classfile.instruction.TableSwitchInstruction;
import java.lang.classfile.instruction.ThrowInstruction;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Rewrites one method: accesses to native arrays go to their Java storage, accesses to local arrays are checked,
 * traffic is counted in variables of the method and handed over when it returns, and parallel loops take their share of
 * the iterations.
 */
final class MethodRewriter implements CodeTransform {

    private final MethodAnalysis method;
    private final Instrumentation wanted;
    private final List<ParallelLoop> loops;
    private final Sites sites;
    private final OpenLoops openLoops;
    private final Slots slots;
    private final int item;
    private final int firstWorker;
    private final Set<Integer> written = new HashSet<>();
    private final Map<String, List<Label[]>> guarded = new LinkedHashMap<>();
    private final CostSites costs;
    private final Snapshots snapshots;
    private int index = -1;

    MethodRewriter(
            MethodAnalysis method,
            int maxLocals,
            Instrumentation wanted,
            List<ParallelLoop> loops,
            Sites sites,
            String sourceFile) {
        this.method = method;
        this.wanted = wanted;
        this.loops = loops;
        this.sites = sites;
        this.slots = new Slots(maxLocals);
        this.item = slots.allocate(1);
        this.firstWorker = slots.allocate(2 * loops.size());
        this.costs = wanted.costs() ? new CostSites(method, loops, sites, sourceFile, item, slots) : null;
        this.snapshots = wanted.trace() ? new Snapshots(method, loops, costs, item) : null;
        this.openLoops = new OpenLoops(method, item, slots, sites);
        method.localArraySlots().forEach(slots::localView);
        for (Access access : method.accesses()) {
            if (access instanceof Access.OfParameter array && array.operation().write()) {
                written.add(array.slot());
            }
        }
        for (Access access : method.accesses()) {
            reserve(access);
        }
    }

    private void reserve(Access access) {
        switch (access) {
            case Access.OfParameter array -> {
                slots.storage(array.slot());
                if (tracks(array.slot())) {
                    slots.globalRecord(array.slot());
                }
                if (wanted.counting()) {
                    slots.counter(array.slot());
                }
            }
            case Access.OfLocalArray array -> {
                if (wanted.counting()) {
                    slots.counter(array.slot());
                }
            }
            case Access.OfSomeArray array -> {
                if (array.slot() >= 0) {
                    slots.localParameter(array.slot());
                }
            }
            default -> {
                // needs no variables for the whole method
            }
        }
    }

    /** Returns whether accesses to the array in a parameter are checked: if it is written, or may have gaps. */
    private boolean tracks(int slot) {
        return wanted.deviceMemory()
                && (written.contains(slot)
                        || wanted.tracks(method.parameterSlots().indexOf(slot)));
    }

    /** Returns whether the method needs to know which work-item runs it. */
    boolean needsItem() {
        return costs != null
                || method.accesses().iterator().hasNext()
                || !slots.allLocalViews().isEmpty()
                || !loops.isEmpty()
                || !openLoops.isEmpty()
                || IntStream.range(0, method.elements().size()).anyMatch(this::isShift)
                || wanted.barriers() && method.elements().stream().anyMatch(MethodRewriter::isBarrier);
    }

    @Override
    public void atStart(CodeBuilder code) {
        if (!needsItem()) {
            return;
        }
        int context = method.parameterOfType(Names.KERNEL_CONTEXT);
        if (context >= 0) {
            code.aload(context).invokestatic(Names.HOOKS, "item", Names.ITEM_OF_CONTEXT);
        } else {
            code.invokestatic(Names.HOOKS, "item", Names.CURRENT_ITEM);
        }
        code.astore(item);
        if (costs != null) {
            costs.atStart(code);
        }
        openLoops.atStart(code);
        for (int d = 0; d < loops.size(); d++) {
            code.aload(item).loadConstant(d).invokestatic(Names.HOOKS, "worker", Names.WORKER);
            code.istore(worker(d));
            code.aload(item).loadConstant(d).invokestatic(Names.HOOKS, "workers", Names.WORKER);
            code.istore(workers(d));
        }
        slots.allStorage().forEach((parameter, slot) -> {
            TypeKind kind = NativeOperation.storageOf(method.parameterType(parameter));
            code.aload(parameter).invokestatic(Names.HOOKS, "storage", Names.STORAGE);
            code.checkcast(Names.arrayOf(kind)).astore(slot);
        });
        slots.allGlobalRecords().forEach((parameter, slot) -> {
            String hook = written.contains(parameter) ? "recordForWriting" : "recordForReading";
            code.aload(parameter)
                    .invokestatic(Names.HOOKS, hook, Names.RECORD_OF)
                    .astore(slot);
        });
        slots.allLocalParameters()
                .forEach((parameter, slot) -> code.aload(parameter)
                        .aload(item)
                        .invokestatic(Names.LOCAL_HOOKS, "localArray", Names.LOCAL_ARRAY_OF)
                        .astore(slot));
        slots.allLocalViews().values().forEach(slot -> code.aconst_null().astore(slot));
        slots.allCounters()
                .values()
                .forEach(counter ->
                        code.lconst_0().lstore(counter.reads()).lconst_0().lstore(counter.writes()));
    }

    @Override
    public void accept(CodeBuilder code, CodeElement element) {
        index++;
        if (element instanceof RuntimeVisibleTypeAnnotationsAttribute) {
            return;
        }
        if (costs != null) {
            costs.before(code, element, index, endsStraightCode(element));
        }
        if (snapshots != null) {
            snapshots.before(code, element, index);
        }
        if (endsStraightCode(element)) {
            addPending(code);
        }
        if (element instanceof ReturnInstruction) {
            handOver(code);
        }
        if (openLoops.element(code, element, index)) {
            return;
        }
        if (isRedirected()) {
            int array = method.redirected(index);
            code.aload(method.isParameter(array) ? slots.storage(array) : slots.localView(array));
        } else if (method.access(index) != null) {
            access(code, element, method.access(index));
        } else if (!loopElement(code, element)) {
            if (wanted.barriers() && isBarrier(element)) {
                code.aload(item).loadConstant(sites.next());
                code.invokestatic(Names.HOOKS, "barrierSite", Names.BARRIER_SITE);
            }
            if (isShift(index)) {
                code.dup2().aload(item).invokestatic(Names.HOOKS, "beforeUnsignedShift", Names.BEFORE_SHIFT);
            }
            code.with(element);
            afterPlain(code);
        }
    }

    /** Whether an instruction shifts an int right without a sign, and the bits that come in are not masked. */
    private boolean isShift(int at) {
        if (!wanted.shifts()
                || !(method.elements().get(at) instanceof OperatorInstruction operator)
                || operator.opcode() != Opcode.IUSHR) {
            return false;
        }
        Integer distance = intConstant(instruction(at, -1));
        if (distance == null) {
            return true;
        }
        Instruction next = instruction(at, 1);
        Integer mask = intConstant(next);
        boolean masked = mask != null
                && instruction(at, 2) instanceof OperatorInstruction and
                && and.opcode() == Opcode.IAND
                && (mask & -1 << Integer.SIZE - distance) == 0;
        boolean narrowed = next instanceof ConvertInstruction convert
                && switch (convert.toType()) {
                    case BYTE -> distance <= Integer.SIZE - Byte.SIZE;
                    case SHORT, CHAR -> distance <= Integer.SIZE - Short.SIZE;
                    default -> false;
                };
        return !masked && !narrowed;
    }

    private static Integer intConstant(Instruction instruction) {
        return instruction instanceof ConstantInstruction constant && constant.constantValue() instanceof Integer value
                ? value
                : null;
    }

    /** Returns the instruction that comes so many after that at {@code from}, or before it; null if there is none. */
    private Instruction instruction(int from, int steps) {
        int left = Math.abs(steps);
        int at = from;
        while (left > 0) {
            at += Integer.signum(steps);
            if (at < 0 || at >= method.elements().size()) {
                return null;
            }
            if (method.elements().get(at) instanceof Instruction) {
                left--;
            }
        }
        return (Instruction) method.elements().get(at);
    }

    private boolean isRedirected() {
        Integer array = method.redirected(index);
        return array != null && (method.isParameter(array) || wanted.localMemory());
    }

    private void afterPlain(CodeBuilder code) {
        if (wanted.privateMemory()
                && method.elements().get(index) instanceof NewPrimitiveArrayInstruction array
                && Names.canBeMarked(array.typeKind())) {
            code.dup().invokestatic(Names.PRIVATE_HOOKS, "mark", Names.markPrivate(array.typeKind()));
        }
        if (costs != null && method.elements().get(index) instanceof NewPrimitiveArrayInstruction) {
            code.dup().aload(item).invokestatic(Names.COST_HOOKS, "privateArray", Names.COST_PRIVATE);
        }
        if (method.isLocalArrayStore(index)) {
            int array = ((StoreInstruction) method.elements().get(index)).slot();
            code.aload(array).loadConstant(method.variableName(array, index)).aload(item);
            code.invokestatic(Names.LOCAL_HOOKS, "local", Names.LOCAL).astore(slots.localView(array));
        }
    }

    private static boolean endsStraightCode(CodeElement element) {
        return element instanceof LabelTarget
                || element instanceof BranchInstruction
                || element instanceof TableSwitchInstruction
                || element instanceof LookupSwitchInstruction
                || element instanceof ReturnInstruction
                || element instanceof ThrowInstruction;
    }

    private static boolean isBarrier(CodeElement element) {
        return element instanceof InvokeInstruction invoke
                && invoke.owner().asSymbol().equals(Names.KERNEL_CONTEXT)
                && invoke.name().stringValue().endsWith("Barrier");
    }

    private void access(CodeBuilder code, CodeElement element, Access access) {
        switch (access) {
            case Access.OfParameter array -> parameterAccess(code, array);
            case Access.OfLocalArray array -> localAccess(code, element, array);
            case Access.OfPrivateArray array -> {
                String name = array.slot() < 0 ? "a private array" : method.variableName(array.slot(), index);
                privateAccess(code, element, name, array.kind(), array.write());
            }
            case Access.OfSomeNativeArray array -> {
                if (costs != null) {
                    costs.at(code);
                }
                putAside(code, array.operation().write() ? array.operation().value() : null);
                code.dup2().loadConstant(array.operation().elements()).aload(item);
                String hook = array.operation().write() ? "beforeSet" : "beforeGet";
                code.invokestatic(Names.HOOKS, hook, Names.BEFORE_GLOBAL);
                putBack(code, array.operation().write() ? array.operation().value() : null);
                code.with(element);
            }
            case Access.OfSomeArray array -> {
                if (costs != null) {
                    costs.at(code);
                }
                putAside(code, array.write() ? array.kind() : null);
                String hook = array.write() ? "beforeLocalWrite" : "beforeLocalRead";
                if (array.slot() < 0) {
                    code.dup2().aload(item).invokestatic(Names.LOCAL_HOOKS, hook, Names.BEFORE_LOCAL);
                } else {
                    code.dup().aload(slots.localParameter(array.slot())).aload(item);
                    code.invokestatic(Names.LOCAL_HOOKS, hook, Names.BEFORE_KNOWN_LOCAL);
                }
                putBack(code, array.write() ? array.kind() : null);
                privateAccess(code, element, "a private array", array.kind(), array.write());
            }
        }
    }

    private void privateAccess(CodeBuilder code, CodeElement element, String name, TypeKind kind, boolean write) {
        guard(code, name, () -> {
            boolean marked = wanted.privateMemory() && Names.canBeMarked(kind);
            if (marked && !write) {
                code.loadConstant(name).aload(item);
                code.invokestatic(Names.PRIVATE_HOOKS, "read", Names.readPrivate(kind));
                return;
            }
            if (marked && (kind == TypeKind.INT || kind == TypeKind.LONG)) {
                if (kind == TypeKind.LONG) {
                    code.dup2();
                } else {
                    code.dup();
                }
                code.aload(item).invokestatic(Names.PRIVATE_HOOKS, "beforeWrite", Names.beforePrivateWrite(kind));
            }
            code.with(element);
        });
    }

    private void parameterAccess(CodeBuilder code, Access.OfParameter array) {
        NativeOperation operation = array.operation();
        if (operation.write()) {
            convert(code, operation);
        }
        if (costs != null) {
            putAside(code, operation.write() ? operation.storage() : null);
            code.dup().aload(array.slot());
            costs.access(code, "global", Names.COST_GLOBAL, operation.write());
            putBack(code, operation.write() ? operation.storage() : null);
        }
        guard(code, method.parameterName(array.slot()), () -> {
            if (!tracks(array.slot())) {
                if (operation.write()) {
                    code.arrayStore(operation.storage());
                } else {
                    code.arrayLoad(operation.storage());
                }
            } else if (operation.write()) {
                code.aload(slots.globalRecord(array.slot())).aload(item);
                code.invokestatic(Names.HOOKS, "put", Names.putGlobal(operation.storage()));
            } else {
                code.dup().aload(slots.globalRecord(array.slot())).aload(item);
                code.invokestatic(Names.HOOKS, "read", Names.READ_GLOBAL).arrayLoad(operation.storage());
            }
        });
        if (!operation.write()) {
            convert(code, operation);
        }
        if (wanted.counting()) {
            slots.counter(array.slot()).count(operation.write());
        }
    }

    private static void convert(CodeBuilder code, NativeOperation operation) {
        NativeOperation.Conversion conversion = operation.conversion();
        if (conversion == null) {
            return;
        }
        if (conversion.virtual()) {
            code.invokevirtual(conversion.owner(), conversion.name(), conversion.type());
        } else {
            code.invokestatic(conversion.owner(), conversion.name(), conversion.type());
        }
    }

    private void localAccess(CodeBuilder code, CodeElement element, Access.OfLocalArray array) {
        if (costs != null) {
            putAside(code, array.write() ? array.kind() : null);
            code.dup().aload(slots.localView(array.slot()));
            costs.access(code, "local", Names.COST_LOCAL, array.write());
            putBack(code, array.write() ? array.kind() : null);
        }
        guard(code, method.variableName(array.slot(), index), () -> {
            if (!wanted.localMemory()) {
                code.with(element);
                return;
            }
            if (!array.viewed()) {
                code.aload(slots.localView(array.slot()));
            }
            if (array.write()) {
                code.invokestatic(Names.LOCAL_HOOKS, "write", Names.writeLocal(array.kind(), array.viewed()));
            } else {
                String hook = array.viewed() ? Names.viewRead(array.kind()) : "read";
                code.invokestatic(Names.LOCAL_HOOKS, hook, Names.readLocal(array.kind(), array.viewed()));
                restoreType(code, array);
            }
        });
        if (wanted.counting()) {
            slots.counter(array.slot()).count(array.write());
        }
    }

    /** Tells the verifier again what class an element has that was read as an object. */
    private void restoreType(CodeBuilder code, Access.OfLocalArray array) {
        if (array.kind() == TypeKind.REFERENCE) {
            code.checkcast(method.localElementType(array.slot()));
        }
    }

    private void putAside(CodeBuilder code, TypeKind kind) {
        if (kind != null) {
            code.storeLocal(kind, slots.temporary(kind.slotSize()));
        }
    }

    private void putBack(CodeBuilder code, TypeKind kind) {
        if (kind != null) {
            code.loadLocal(kind, slots.temporary(kind.slotSize()));
        }
    }

    /** Emits code in which a missed index is to be blamed on the array {@code name}. */
    private void guard(CodeBuilder code, String name, Runnable emit) {
        if (!wanted.bounds()) {
            emit.run();
            return;
        }
        Label start = code.newBoundLabel();
        emit.run();
        Label end = code.newBoundLabel();
        guarded.computeIfAbsent(name, _ -> new ArrayList<>()).add(new Label[] {start, end});
    }

    private boolean loopElement(CodeBuilder code, CodeElement element) {
        for (int d = 0; d < loops.size(); d++) {
            ParallelLoop loop = loops.get(d);
            if (index == loop.start()) {
                code.iload(worker(d)).loadConstant(loop.step()).imul().iadd().with(element);
                noteIteration(code, loop, d);
                return true;
            }
            if (index == loop.increment()) {
                code.iload(loop.slot()).iload(workers(d)).loadConstant(loop.step());
                code.imul().iadd().istore(loop.slot());
                noteIteration(code, loop, d);
                return true;
            }
        }
        return false;
    }

    private void noteIteration(CodeBuilder code, ParallelLoop loop, int dimension) {
        code.iload(loop.slot()).aload(item).loadConstant(dimension);
        code.invokestatic(Names.HOOKS, "iteration", Names.ITERATION);
    }

    private int worker(int dimension) {
        return firstWorker + 2 * dimension;
    }

    private int workers(int dimension) {
        return firstWorker + 2 * dimension + 1;
    }

    private void addPending(CodeBuilder code) {
        for (Slots.Counter counter : slots.allCounters().values()) {
            add(code, counter.reads(), counter.takePendingReads());
            add(code, counter.writes(), counter.takePendingWrites());
        }
    }

    private static void add(CodeBuilder code, int slot, int amount) {
        if (amount > 0) {
            code.lload(slot).loadConstant((long) amount).ladd().lstore(slot);
        }
    }

    private void handOver(CodeBuilder code) {
        slots.allCounters().forEach((array, counter) -> {
            boolean local = slots.allLocalViews().containsKey(array);
            code.aload(local ? slots.localView(array) : array);
            code.lload(counter.reads()).lload(counter.writes());
            if (local) {
                code.invokestatic(Names.LOCAL_HOOKS, "countLocal", Names.COUNT_LOCAL);
            } else {
                code.aload(item).invokestatic(Names.HOOKS, "countGlobal", Names.COUNT_GLOBAL);
            }
        });
    }

    @Override
    public void atEnd(CodeBuilder code) {
        guarded.forEach((name, ranges) -> {
            Label handler = code.newBoundLabel();
            code.loadConstant(name).aload(item);
            code.invokestatic(Names.HOOKS, "outOfBounds", Names.OUT_OF_BOUNDS).athrow();
            for (Label[] range : ranges) {
                code.exceptionCatch(range[0], range[1], handler, Names.INDEX_OUT_OF_BOUNDS);
            }
        });
    }

    /** Numbers the barriers and loops of a kernel, over all its methods. */
    static final class Sites {

        private final List<String> costPlaces = new ArrayList<>();
        private int last;

        int next() {
            return ++last;
        }

        /** Numbers a place in the code that costs are told of. */
        int nextCost(String place) {
            costPlaces.add(place);
            return costPlaces.size() - 1;
        }

        List<String> costPlaces() {
            return costPlaces;
        }
    }
}
