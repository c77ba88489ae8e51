package org.tornadoattention.cuda;

import java.util.OptionalDouble;
import java.util.function.IntFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.tornadoattention.intrinsic.Warp;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/** What each intrinsic is in CUDA C with inline PTX. Names that end in an underscore are local to a statement. */
final class CudaText {

    /** Stands in every kernel that uses an intrinsic for more than arithmetic. */
    static final String MARK = "/*warp*/";

    /** Before the number of work-items of a group. */
    static final String GROUP_SIZE = "/*group size ";

    /** Says that no other group is on the multiprocessor. */
    static final String ALONE = "/*alone*/";

    /** Where loops of known length are to be unrolled. */
    static final String UNROLL_LOOPS = "/*unroll loops*/";

    private static final int SWIZZLE_128_BYTES = 1;
    private static final int EIGHT_ROWS = 1024;

    private CudaText() {}

    /** What the assembler makes of it stands in the kernel's head. */
    static String requireGroupSize(String items) {
        return MARK + GROUP_SIZE + constant(items, "items") + "*/";
    }

    /** What the assembler makes of it stands in the kernel's head. */
    static String requireMultiprocessor() {
        return MARK + ALONE;
    }

    static String shuffleXor(String result, String value, String mask) {
        return result + " = __shfl_xor_sync(0xffffffffu, " + value + ", " + mask + ");";
    }

    /** What a lane with a constant number has is the same in all: the assembler keeps it in a register of the warp. */
    static String uniform(String result, String value) {
        return MARK + " " + result + " = __shfl_sync(0xffffffffu, " + value + ", 0);";
    }

    static String any(String result, String value) {
        return result + " = __any_sync(0xffffffffu, " + value + ");";
    }

    /** The branch makes a block of its own of what follows; whether it is taken makes no difference. */
    static String settle(String value) {
        return MARK + " if (__any_sync(0xffffffffu, " + value + " == -0.5f)) { __nanosleep(1); }";
    }

    static String exp2(String result, String x) {
        return "asm(\"ex2.approx.ftz.f32 %0, %1;\" : \"=f\"(" + result + ") : \"f\"(" + x + "));";
    }

    static String pack(String result, String type, String low, String high) {
        return "asm(\"cvt.rn." + name(type) + "x2.f32 %0, %1, %2;\" : \"=r\"(" + result + ") : \"f\"(" + high
                + "), \"f\"(" + low + "));";
    }

    static String unpack(String result, String type, String packed, String element) {
        String half = constant(element, "element") == 0 ? "low" : "high";
        String convert =
                constant(type, "type") == Warp.F16 ? "cvt.f32.f16 %0, " + half : "mov.b32 %0, {zero, " + half + "}";
        return "asm(\"{ .reg .b16 low, high, zero; mov.b16 zero, 0; mov.b32 {low, high}, %1; " + convert
                + "; }\" : \"=f\"(" + result + ") : \"r\"(" + packed + "));";
    }

    static String packE4M3(String result, String first, String second, String third, String fourth) {
        return "asm(\"{ .reg .b16 low, high; cvt.rn.satfinite.e4m3x2.f32 low, %2, %1;"
                + " cvt.rn.satfinite.e4m3x2.f32 high, %4, %3; mov.b32 %0, {low, high}; }\" : \"=r\"(" + result
                + ") : \"f\"(" + first + "), \"f\"(" + second + "), \"f\"(" + third + "), \"f\"(" + fourth + "));";
    }

    static String roundToTF32(String result, String value) {
        return "{ unsigned bits_; asm(\"cvt.rna.tf32.f32 %0, %1;\" : \"=r\"(bits_) : \"f\"(" + value + ")); " + result
                + " = __uint_as_float(bits_); }";
    }

    static String asInt(String result, String value) {
        return result + " = __float_as_int(" + value + ");";
    }

    static String asFloat(String result, String bits) {
        return result + " = __int_as_float(" + bits + ");";
    }

    static String element(String result, String tile, String byteOffset) {
        return result + " = *(const float *) ((const char *) " + tile + " + (" + byteOffset + "));";
    }

    static String load(String result, String type, String source, String index) {
        String convert = constant(type, "type") == Warp.F16
                ? "cvt.f32.f16 %0, %1;"
                : "{ .reg .b16 zero; mov.b16 zero, 0; mov.b32 %0, {zero, %1}; }";
        return "asm(\"" + convert + "\" : \"=f\"(" + result + ") : \"h\"(__ldg((const unsigned short *) ("
                + address(source, index, Short.BYTES) + "))));";
    }

    /** Volatile, so that it stays before a wait for products that stands behind it. */
    static String loadEight(String registers, String at, String source, String row, String column, String ahead) {
        return "{ const char *from_ = " + address(source, row, Short.BYTES) + " + (long long) (" + column + ") * "
                + Short.BYTES + "; asm volatile(\"ld.global.nc.v4.b32 {%0,%1,%2,%3}, [%4];\" : "
                + elements("=r", registers, at, 4) + " : \"l\"(from_));"
                + " asm volatile(\"prefetch.global.L2 [%0];\" : : \"l\"(from_ + (" + ahead + ") * " + Short.BYTES
                + ")); }";
    }

    /** An element of {@code float} or {@code int}; the index is one of {@link ElementText}. */
    static String loadWord(String type, String result, String source, String index) {
        int plus = index.lastIndexOf(IntrinsicText.PLUS);
        int before = Integer.parseInt(index.substring(plus + IntrinsicText.PLUS.length())) * Float.BYTES;
        return result + " = __ldg((const " + type + " *) (" + address(source, index.substring(0, plus), Float.BYTES)
                + IntrinsicText.PLUS + before + "));";
    }

    /**
     * Near 0 a polynomial, the best of its degree up to 0.2, where the other formula cancels: {@code 1 - 2 / (e^2x +
     * 1)}, which is right where the power overflows too. Both are computed, since a branch costs more.
     */
    static String tanh(String result, String x) {
        return ("{ float x_ = %s; float square_ = x_ * x_; float power_, part_;"
                        + " asm(\"ex2.approx.ftz.f32 %%0, %%1;\" : \"=f\"(power_) : \"f\"(x_ * 2.88539008f));"
                        + " asm(\"rcp.approx.ftz.f32 %%0, %%1;\" : \"=f\"(part_) : \"f\"(power_ + 1.0f));"
                        + " float near_ = fmaf(x_ * square_, fmaf(square_, 0.13038334f, -0.33329708f), x_);"
                        + " %s = fabsf(x_) < 0.2f ? near_ : fmaf(-2.0f, part_, 1.0f); }")
                .formatted(x, result);
    }

    static String divide(String result, String x, String y) {
        OptionalDouble reciprocal = reciprocal(y);
        return reciprocal.isPresent()
                ? result + " = " + x + " * " + (float) reciprocal.getAsDouble() + "f;"
                : "asm(\"div.full.f32 %0, %1, %2;\" : \"=f\"(" + result + ") : \"f\"(" + x + "), \"f\"(" + y + "));";
    }

    /** Of a literal whose reciprocal is a normal number. */
    private static OptionalDouble reciprocal(String number) {
        try {
            float reciprocal = 1f / Float.parseFloat(number);
            boolean normal = Math.abs(reciprocal) >= Float.MIN_NORMAL && Float.isFinite(reciprocal);
            return normal ? OptionalDouble.of(reciprocal) : OptionalDouble.empty();
        } catch (NumberFormatException e) {
            return OptionalDouble.empty();
        }
    }

    static String loadInt(String result, String tile, String byteOffset) {
        return result + " = *(const int *) ((const char *) " + tile + " + (" + byteOffset + "));";
    }

    static String storeInt(String tile, String byteOffset, String value) {
        return "*(int *) ((char *) " + tile + " + (" + byteOffset + ")) = " + value + ";";
    }

    static String elements(String registers, String at, String tile, String byteOffset) {
        return asm(
                "ld.shared.v4.f32 {%0,%1,%2,%3}, [%4]",
                elements("=f", registers, at, 4), register(shared(tile, byteOffset)));
    }

    static String loadFour(String registers, String at, String source, String index) {
        return asmOnMemory(
                "ld.relaxed.gpu.global.v4.f32 {%0,%1,%2,%3}, [%4]",
                elements("=f", registers, at, 4), "\"l\"(" + address(source, index, Float.BYTES) + ")");
    }

    static String storeFour(String target, String index, String registers, String at) {
        return onFour("st.global.v4.f32", target, index, registers, at);
    }

    static String addFour(String target, String index, String registers, String at) {
        return onFour("red.relaxed.gpu.global.add.v4.f32", target, index, registers, at);
    }

    static String storeEight(String target, String index, String registers, String at) {
        return asmOnMemory(
                "st.global.v4.b32 [%0], {%1,%2,%3,%4}",
                "", "\"l\"(" + address(target, index, Short.BYTES) + "), " + elements("r", registers, at, 4));
    }

    private static String onFour(String instruction, String target, String index, String registers, String at) {
        return asmOnMemory(
                instruction + " [%0], {%1,%2,%3,%4}",
                "",
                "\"l\"(" + address(target, index, Float.BYTES) + "), " + elements("f", registers, at, 4));
    }

    static String copyFloats(String tile, String byteOffset, String source, String index, String elements) {
        return "{ const float *from_ = (const float *) (" + address(source, index, Float.BYTES)
                + "); float *to_ = (float *) ((char *) " + tile + " + (" + byteOffset
                + ")); for (int i_ = 0; i_ < 4; i_++) { to_[i_] = i_ < (" + elements + ") ? from_[i_] : 0.0f; } }";
    }

    static String loadMatrices(boolean transposed, String registers, String at, String tile, String byteOffset) {
        return asm(
                "ldmatrix.sync.aligned.m8n8.x4" + (transposed ? ".trans" : "") + ".shared.b16 {%0,%1,%2,%3}, [%4]",
                elements("=r", registers, at, 4),
                register(shared(tile, byteOffset)));
    }

    static String storeMatrices(String tile, String byteOffset, String registers, String at) {
        return asmOnMemory(
                "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4}",
                "", register(shared(tile, byteOffset)) + ", " + elements("r", registers, at, 4));
    }

    static String multiply(String type, String c, String atC, String a, String atA, String b, String atB) {
        if (constant(type, "type") == Warp.E4M3) {
            throw new IllegalArgumentException("A warp multiplies no E4M3, a warp group does.");
        }
        boolean tf32 = constant(type, "type") == Warp.TF32;
        String name = name(type);
        return asm(
                "mma.sync.aligned.m16n8k" + (tf32 ? 8 : 16) + ".row.col.f32." + name + "." + name
                        + ".f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3}",
                elements("+f", c, atC, 4),
                elements("r", a, atA, 4) + ", " + elements("r", b, atB, 2));
    }

    static String copyAsync(
            int elementBytes, String tile, String byteOffset, String source, String index, String bytes) {
        // A constant of the index stands in the instruction, which spares the two additions of a 64-bit address.
        int plus = index.indexOf(IntrinsicText.PLUS);
        String first = plus < 0 ? index : index.substring(0, plus);
        int bytesOn =
                plus < 0 ? 0 : elementBytes * Integer.parseInt(index.substring(plus + IntrinsicText.PLUS.length()));
        return asmOnMemory(
                "cp.async.cg.shared.global.L2::128B [%0], [%1 + " + bytesOn + "], 16, %2",
                "",
                register(shared(tile, byteOffset)) + ", \"l\"(" + address(source, first, elementBytes) + "), "
                        + register(bytes));
    }

    static String awaitCopies(String pending) {
        return asmOnMemory("cp.async.wait_group " + constant(pending, "pending"), "", "");
    }

    static String copy(String tile, String byteOffset, String source, String index, String elements) {
        return "{ const unsigned short *from_ = (const unsigned short *) (" + address(source, index, Short.BYTES)
                + "); unsigned *to_ = (unsigned *) ((char *) " + tile + " + (" + byteOffset + "));"
                + " for (int i_ = 0; i_ < 4; i_++) { unsigned low_ = 2 * i_ < (" + elements
                + ") ? from_[2 * i_] : 0; unsigned high_ = 2 * i_ + 1 < (" + elements
                + ") ? from_[2 * i_ + 1] : 0; to_[i_] = low_ | high_ << 16; } }";
    }

    static String store(String target, String index, String packed, String elements) {
        String type = constant(elements, "elements") == 2 ? "int" : "short";
        return "*(" + type + " *) (" + address(target, index, Short.BYTES) + ") = (" + type + ") (" + packed + ");";
    }

    static String store(String target, String index, String value) {
        return "*(float *) (" + address(target, index, Float.BYTES) + ") = " + value + ";";
    }

    static String fenceLocalMemory() {
        return asmOnMemory("fence.proxy.async.shared::cta", "", "");
    }

    static String fence() {
        return asmOnMemory("wgmma.fence.sync.aligned", "", "");
    }

    static String multiplyTiles(
            String type, String c, String columns, String tile, String atA, String atB, String accumulate) {
        int n = constant(columns, "columns");
        return wgmma(
                type,
                n,
                c,
                "%" + n / 2,
                n / 2 + 1,
                ", 0, 0",
                "\"l\"(" + descriptor(tile, atA, "0") + "), \"l\"(" + descriptor(tile, atB, "0") + "), "
                        + register(accumulate));
    }

    static String multiplyRegisters(
            String type,
            String c,
            String columns,
            String a,
            String atA,
            String tile,
            String atB,
            String strideB,
            String accumulate) {
        if (constant(type, "type") == Warp.E4M3) {
            throw new IllegalArgumentException("E4M3 tiles are read along their columns only: multiplyTransposed.");
        }
        return multiplyRegisters(type, c, columns, a, atA, descriptor(tile, atB, strideB), ", 1", accumulate);
    }

    static String multiplyTransposed(
            String type, String c, String columns, String a, String atA, String tile, String atB, String accumulate) {
        return multiplyRegisters(type, c, columns, a, atA, descriptor(tile, atB, "0"), ", 0", accumulate);
    }

    private static String multiplyRegisters(
            String type,
            String c,
            String columns,
            String a,
            String atA,
            String descriptor,
            String transposition,
            String accumulate) {
        int n = constant(columns, "columns");
        return wgmma(
                type,
                n,
                c,
                "{" + placeholders(n / 2, 4) + "}",
                n / 2 + 4,
                transposition,
                elements("r", a, atA, 4) + ", \"l\"(" + descriptor + "), " + register(accumulate));
    }

    /**
     * Operand B's descriptor is placeholder {@code b}; whether to accumulate, the one after. 8-bit operands cannot be
     * transposed, so nothing is said about it.
     */
    private static String wgmma(
            String type, int columns, String c, String a, int b, String transposition, String operands) {
        boolean bytes = constant(type, "type") == Warp.E4M3;
        return asm(
                "{ .reg .pred p; setp.ne.b32 p, %" + (b + 1) + ", 0; wgmma.mma_async.sync.aligned.m64n" + columns
                        + (bytes ? "k32.f32." : "k16.f32.") + name(type) + "." + name(type) + " {"
                        + placeholders(0, columns / 2) + "}, " + a + ", %" + b + ", p, 1, 1"
                        + (bytes ? "" : transposition) + "; }",
                elements("+f", c, "0", columns / 2),
                operands);
    }

    /** Both operands lie with their rows along the depth, which is the transposed way for both. */
    static String multiplyByRows(
            String type,
            String c,
            String columns,
            String tile,
            String atA,
            String atB,
            String strideB,
            String accumulate) {
        return multiplyTiles(type, c, columns, tile, atA, atB, strideB, ", 1, 1", accumulate);
    }

    /** B alone lies so. */
    static String multiplyTiles(
            String type,
            String c,
            String columns,
            String tile,
            String atA,
            String atB,
            String strideB,
            String accumulate) {
        return multiplyTiles(type, c, columns, tile, atA, atB, strideB, ", 0, 1", accumulate);
    }

    private static String multiplyTiles(
            String type,
            String c,
            String columns,
            String tile,
            String atA,
            String atB,
            String strideB,
            String transposition,
            String accumulate) {
        if (constant(type, "type") == Warp.E4M3) {
            throw new IllegalArgumentException("E4M3 tiles are read along their columns only: multiply.");
        }
        int n = constant(columns, "columns");
        return wgmma(
                type,
                n,
                c,
                "%" + n / 2,
                n / 2 + 1,
                transposition,
                "\"l\"(" + descriptor(tile, atA, "0") + "), \"l\"(" + descriptor(tile, atB, strideB) + "), "
                        + register(accumulate));
    }

    static String commit() {
        return asmOnMemory("wgmma.commit_group.sync.aligned", "", "");
    }

    static String await(String pending, String c, String registers) {
        return asmOnMemory(
                "wgmma.wait_group.sync.aligned " + constant(pending, "pending"),
                elements("+f", c, "0", constant(registers, "registers")),
                "");
    }

    static String setRegisters(boolean more, String count) {
        return asmOnMemory(
                "setmaxnreg." + (more ? "inc" : "dec") + ".sync.aligned.u32 " + constant(count, "count"), "", "");
    }

    static String initBarrier(String barriers, String index, String arrivals) {
        return asmOnMemory(
                "mbarrier.init.shared::cta.b64 [%0], %1",
                "", register(barrier(barriers, index)) + ", " + register(arrivals));
    }

    /** Each lane for itself. */
    static String arriveWithCopies(String barriers, String index) {
        return asmOnMemory(
                "cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0]", "", register(barrier(barriers, index)));
    }

    /** One lane for its warp, after all of it. */
    static String arrive(String barriers, String index) {
        return asmOnMemory(
                "{ .reg .pred p; setp.eq.u32 p, %1, 0; bar.warp.sync 0xffffffff;"
                        + " @p mbarrier.arrive.shared::cta.b64 _, [%0]; }",
                "", register(barrier(barriers, index)) + ", " + register("threadIdx.x % 32"));
    }

    static String awaitBarrier(String barriers, String index, String phase) {
        return asmOnMemory(
                "{ .reg .pred p; again: mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1; @p bra done;"
                        + " bra again; done: }",
                "", register(barrier(barriers, index)) + ", " + register("(" + phase + ") & 1"));
    }

    /** One lane for its warp, which goes on after it. */
    static String awaitTurn(String turns, String index, String turn) {
        return asmOnMemory(
                "{ .reg .pred p; .reg .b32 turn; setp.ne.u32 p, %1, 0; @p bra done;"
                        + " again: ld.acquire.gpu.global.b32 turn, [%0]; setp.ne.u32 p, turn, %2; @p bra again;"
                        + " done: bar.warp.sync 0xffffffff; }",
                "", turn(turns, index, turn));
    }

    /** One lane for its warp, after all of it. */
    static String passTurn(String turns, String index, String turn) {
        return asmOnMemory(
                "{ .reg .pred p; setp.eq.u32 p, %1, 0; bar.warp.sync 0xffffffff;"
                        + " @p st.release.gpu.global.b32 [%0], %2; }",
                "", turn(turns, index, turn));
    }

    /** One lane for its warp, which goes on after it. */
    static String arrive(String result, String turns, String index, String last) {
        return MARK
                + " { unsigned before_ = 0; asm volatile(\"{ .reg .pred p; setp.eq.u32 p, %2, 0; bar.warp.sync 0xffffffff;"
                + " @p atom.acq_rel.gpu.global.inc.u32 %0, [%1], %3; bar.warp.sync 0xffffffff; }\" : \"+r\"(before_) : "
                + turn(turns, index, last) + " : \"memory\"); " + result
                + " = (int) __shfl_sync(0xffffffffu, before_, 0); }";
    }

    private static String turn(String turns, String index, String turn) {
        return "\"l\"(" + address(turns, index, Integer.BYTES) + "), " + register("threadIdx.x % 32") + ", "
                + register(turn);
    }

    private static String barrier(String barriers, String index) {
        return shared(barriers, Integer.BYTES + " * (" + index + ")");
    }

    /**
     * PTX ISA, «matrix descriptor»: 128-byte swizzle, eight rows of 128 bytes to the next, {@code stride} to the next
     * block.
     */
    private static String descriptor(String tile, String byteOffset, String stride) {
        long fixed = (long) SWIZZLE_128_BYTES << 62 | (long) (EIGHT_ROWS / 16) << 32;
        // A constant of the offset, a multiple of 16, is added to what products share, which is one addition for each.
        int plus = byteOffset.indexOf(IntrinsicText.PLUS);
        String shared = plus < 0 ? byteOffset : byteOffset.substring(0, plus);
        int more = plus < 0 ? 0 : Integer.parseInt(byteOffset.substring(plus + IntrinsicText.PLUS.length()));
        return "0x%xull | (((%s) >> 4) + %du | (unsigned) (%s) >> 4 << 16)"
                .formatted(fixed, shared(tile, shared), more / 16, stride);
    }

    private static String shared(String tile, String byteOffset) {
        return "(unsigned) __cvta_generic_to_shared(" + tile + ") + (unsigned) (" + byteOffset + ")";
    }

    private static String address(String array, String index, int elementBytes) {
        return "(char *) " + array + " + " + TornadoNativeArray.ARRAY_HEADER + " + (long long) (" + index + ") * "
                + elementBytes;
    }

    /** An instruction on registers and local memory; barriers keep their order with it. */
    private static String asm(String instruction, String outputs, String inputs) {
        String end = instruction.endsWith("; }") ? "" : ";";
        return MARK + " asm volatile(\"" + instruction + end + "\" : " + outputs + " : " + inputs + ");";
    }

    private static String asmOnMemory(String instruction, String outputs, String inputs) {
        String end = instruction.endsWith(" }") ? "" : ";";
        return MARK + " asm volatile(\"" + instruction + end + "\" : " + outputs + " : " + inputs + " : \"memory\");";
    }

    private static String register(String value) {
        return "\"r\"(" + value + ")";
    }

    private static String elements(String constraint, String array, String at, int count) {
        return list(count, i -> "\"" + constraint + "\"(" + array + "[" + at + " + " + i + "])");
    }

    private static String placeholders(int from, int count) {
        return list(count, i -> "%" + (from + i));
    }

    private static String list(int count, IntFunction<String> element) {
        return IntStream.range(0, count).mapToObj(element).collect(Collectors.joining(", "));
    }

    private static String name(String type) {
        return switch (constant(type, "type")) {
            case Warp.F16 -> "f16";
            case Warp.BF16 -> "bf16";
            case Warp.TF32 -> "tf32";
            case Warp.E4M3 -> "e4m3";
            default -> throw new IllegalArgumentException("There is no type " + type + " of operands.");
        };
    }

    private static int constant(String argument, String name) {
        try {
            return Integer.parseInt(argument);
        } catch (NumberFormatException e) {
            throw new IllegalArgumentException(
                    "The argument '%s' of a warp intrinsic must be known when the kernel is compiled; here it is %s. Pass a literal, or an argument of the task."
                            .formatted(name, argument),
                    e);
        }
    }
}
