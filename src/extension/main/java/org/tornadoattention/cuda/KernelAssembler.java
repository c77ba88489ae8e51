package org.tornadoattention.cuda;

import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.tornadoattention.file.CodeStore;
import uk.ac.manchester.tornado.api.exceptions.TornadoBailoutRuntimeException;
import uk.ac.manchester.tornado.drivers.cuda.CUDAProgram;

/**
 * Compiles the CUDA C that TornadoVM generated, with NVRTC as TornadoVM does, but for the device's own architecture
 * with its special instructions ({@code sm_90a}), and with all the local memory that the device has.
 *
 * <p>A kernel's arrays in local memory are static to CUDA, and the assembler allows 48 KiB of those; more is for arrays
 * whose size is an argument of the launch, which TornadoVM leaves at 0. So the arrays are declared without a size, and
 * the size is then written where the assembler would have written it, into the header of the section of local memory.
 *
 * <p>What was compiled is kept on disk for the next run ({@link CodeStore}).
 */
final class KernelAssembler {

    private static final Logger LOG = System.getLogger(KernelAssembler.class.getName());

    /** Arrays start where the widest permutation of tensor-core tiles repeats. */
    private static final int ALIGNMENT = 1024;

    private static final Pattern LOCAL_ARRAY = Pattern.compile("__shared__ (\\w+) (\\w+)\\[(\\d+)];");

    private static final Pattern GROUP_SIZE = Pattern.compile(Pattern.quote(CudaText.GROUP_SIZE) + "(\\d+)");

    private static final Pattern LOOP_OF_KNOWN_LENGTH = Pattern.compile("\\bfor\\(;\\w+ < \\d{1,2};\\)");

    private static final long STACK_BYTES = 256L << 20;

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;
    private static final java.lang.foreign.AddressLayout POINTER = ValueLayout.ADDRESS;

    private final String architecture;
    private final String plainArchitecture;
    private final SymbolLookup nvrtc;
    private final CodeStore store = CodeStore.ofThisUser();
    private final AtomicBoolean started = new AtomicBoolean();

    /**
     * Finds the NVRTC that TornadoVM uses.
     *
     * @throws IllegalArgumentException if it cannot be loaded by its usual name
     */
    @SuppressWarnings("restricted") // calling NVRTC is the point
    KernelAssembler(int computeCapability) {
        this.plainArchitecture = "sm_" + computeCapability;
        this.architecture = plainArchitecture + (computeCapability == 90 ? "a" : "");
        this.nvrtc = SymbolLookup.libraryLookup(libraryName(CUDAProgram.getNvrtcVersion() / 1000), Arena.global());
    }

    private static String libraryName(int major) {
        return System.getProperty("os.name").startsWith("Windows")
                ? "nvrtc64_" + major + "0_0"
                : "libnvrtc.so." + major;
    }

    /** The kernel's machine code as a cubin, as it was kept or made now. */
    byte[] assemble(String source, String kernel) {
        return store.get(
                key(source, architecture, kernel, CodeOrigin.text(KernelAssembler.class)),
                () -> assembled(source, kernel));
    }

    private byte[] assembled(String source, String kernel) {
        StringBuilder text = new StringBuilder();
        Matcher array = LOCAL_ARRAY.matcher(source);
        int bytes = 0;
        while (array.find()) {
            String type = array.group(1);
            array.appendReplacement(
                    text,
                    "extern __shared__ __align__(%d) unsigned char local_memory[]; %s *%s = (%s *) (local_memory + %d);"
                            .formatted(ALIGNMENT, type, array.group(2), type, bytes));
            int size = Integer.parseInt(array.group(3)) * elementBytes(type);
            bytes += (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        }
        byte[] cubin = compile(withLaunchBounds(unrolled(array.appendTail(text).toString()), kernel), architecture);
        reserve(cubin, ".nv.shared." + kernel, bytes);
        return cubin;
    }

    /**
     * The machine code of a kernel without intrinsics, compiled as TornadoVM does.
     *
     * @throws TornadoBailoutRuntimeException if NVRTC does not compile it so; TornadoVM has further ways
     */
    byte[] compilePlainly(String source) {
        return store.get(key(source, plainArchitecture), () -> compile(source, plainArchitecture));
    }

    private static List<String> key(String... parts) {
        List<String> key = new ArrayList<>(List.of(parts));
        key.add("NVRTC " + CUDAProgram.getNvrtcVersion());
        key.add("driver " + Driver.version());
        return key;
    }

    /** Has NVRTC load what it needs, a tenth of a second, while another thread still makes the first text. */
    void start() {
        if (!started.getAndSet(true)) {
            Runnable smallest = () -> {
                try {
                    compileHere("extern \"C\" __global__ void nothing() {}", architecture);
                } catch (TornadoBailoutRuntimeException e) {
                    LOG.log(Level.DEBUG, "NVRTC did not start", e); // which the first kernel will tell
                }
            };
            new Thread(null, smallest, "nvrtc", STACK_BYTES).start();
        }
    }

    /** Limits registers to what a group of the size that the kernel names can have. */
    private static String withLaunchBounds(String source, String kernel) {
        Matcher size = GROUP_SIZE.matcher(source);
        return size.find()
                ? source.replaceFirst(
                        "\\bvoid " + kernel + "\\(",
                        "void __launch_bounds__(" + size.group(1) + (source.contains(CudaText.ALONE) ? ", 1" : "")
                                + ") " + kernel + "(")
                : source;
    }

    /** Has loops of up to 99 turns unrolled where the kernel asks for it. */
    private static String unrolled(String source) {
        return source.contains(CudaText.UNROLL_LOOPS)
                ? LOOP_OF_KNOWN_LENGTH.matcher(source).replaceAll(loop -> "\n#pragma unroll\n" + loop.group())
                : source;
    }

    private static int elementBytes(String type) {
        return switch (type) {
            case "char" -> Byte.BYTES;
            case "short", "half" -> Short.BYTES;
            case "int", "float" -> Integer.BYTES;
            default -> Long.BYTES;
        };
    }

    /** On a thread of its own: over a long kernel NVRTC takes more stack than Java's threads have. */
    private byte[] compile(String source, String target) {
        FutureTask<byte[]> compiled = new FutureTask<>(() -> compileHere(source, target));
        new Thread(null, compiled, "nvrtc", STACK_BYTES).start();
        try {
            return compiled.get();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new TornadoBailoutRuntimeException("Interrupted while NVRTC compiled");
        } catch (ExecutionException e) {
            if (e.getCause() instanceof RuntimeException failure) {
                throw failure;
            }
            throw new TornadoBailoutRuntimeException("NVRTC could not be called: " + e.getCause());
        }
    }

    private byte[] compileHere(String source, String target) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(POINTER);
            call(
                    "nvrtcCreateProgram",
                    FunctionDescriptor.of(INT, POINTER, POINTER, POINTER, INT, POINTER, POINTER),
                    pointer,
                    arena.allocateFrom(source),
                    arena.allocateFrom("kernel.cu"),
                    0,
                    MemorySegment.NULL,
                    MemorySegment.NULL);
            MemorySegment program = pointer.get(POINTER, 0);
            try {
                List<String> options = List.of("--gpu-architecture=" + target);
                MemorySegment arguments = arena.allocate(POINTER, options.size());
                for (int i = 0; i < options.size(); i++) {
                    arguments.setAtIndex(POINTER, i, arena.allocateFrom(options.get(i)));
                }
                int status = (int) handle("nvrtcCompileProgram", FunctionDescriptor.of(INT, POINTER, INT, POINTER))
                        .invokeWithArguments(program, options.size(), arguments);
                if (status != 0) {
                    byte[] log = read(arena, program, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog");
                    throw new TornadoBailoutRuntimeException(
                            "NVRTC: " + new String(log, StandardCharsets.UTF_8).strip());
                }
                return read(arena, program, "nvrtcGetCUBINSize", "nvrtcGetCUBIN");
            } finally {
                call("nvrtcDestroyProgram", FunctionDescriptor.of(INT, POINTER), pointer);
            }
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new TornadoBailoutRuntimeException("NVRTC could not be called: " + e);
        }
    }

    private byte[] read(Arena arena, MemorySegment program, String sizeOf, String contentOf) throws Throwable {
        MemorySegment size = arena.allocate(LONG);
        call(sizeOf, FunctionDescriptor.of(INT, POINTER, POINTER), program, size);
        MemorySegment content = arena.allocate(size.get(LONG, 0));
        call(contentOf, FunctionDescriptor.of(INT, POINTER, POINTER), program, content);
        return content.toArray(ValueLayout.JAVA_BYTE);
    }

    private void call(String function, FunctionDescriptor type, Object... arguments) throws Throwable {
        int status = (int) handle(function, type).invokeWithArguments(arguments);
        if (status != 0) {
            throw new TornadoBailoutRuntimeException(function + " returned " + status);
        }
    }

    @SuppressWarnings("restricted")
    private MethodHandle handle(String function, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(nvrtc.findOrThrow(function), type);
    }

    /** Adds to the size of an ELF section that takes no room in the file. */
    private static void reserve(byte[] cubin, String section, int bytes) {
        ByteBuffer elf = ByteBuffer.wrap(cubin).order(ByteOrder.LITTLE_ENDIAN);
        int headers = (int) elf.getLong(0x28);
        int headerBytes = Short.toUnsignedInt(elf.getShort(0x3A));
        int count = Short.toUnsignedInt(elf.getShort(0x3C));
        int names = (int) elf.getLong(headers + Short.toUnsignedInt(elf.getShort(0x3E)) * headerBytes + 0x18);
        for (int i = 0; i < count; i++) {
            int header = headers + i * headerBytes;
            if (section.equals(text(cubin, names + elf.getInt(header)))) {
                elf.putLong(header + 0x20, elf.getLong(header + 0x20) + bytes);
                return;
            }
        }
        if (bytes > 0) {
            throw new TornadoBailoutRuntimeException("The cubin that NVRTC made has no section " + section + ".");
        }
    }

    private static String text(byte[] bytes, int start) {
        int end = start;
        while (bytes[end] != 0) {
            end++;
        }
        return new String(bytes, start, end - start, StandardCharsets.US_ASCII);
    }
}
