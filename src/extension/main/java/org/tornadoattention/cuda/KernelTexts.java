package org.tornadoattention.cuda;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import java.util.zip.DataFormatException;
import java.util.zip.Deflater;
import java.util.zip.Inflater;
import org.tornadoattention.file.CodeStore;
import org.tornadoattention.forge.KernelForge;
import uk.ac.manchester.tornado.api.KernelContext;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;
import uk.ac.manchester.tornado.drivers.cuda.CUDAProgram;
import uk.ac.manchester.tornado.runtime.tasks.CompilableTask;
import uk.ac.manchester.tornado.runtime.tasks.meta.TaskDataContext;

/**
 * The library's kernels as they were compiled, kept between runs of the JVM. A kernel is known again by all that it is
 * made of: its class files, the task's arguments, which are constants to TornadoVM's compiler, the jars of the library,
 * of TornadoVM and of its compiler, the JVM, NVRTC, the driver, the device, and every option that begins with
 * {@code tornado}.
 *
 * <p>Kernels of others, and those that ask functions of a caller's, are compiled in each run: what they read is not
 * known.
 */
final class KernelTexts {

    private final CodeStore store = CodeStore.ofThisUser();
    private final List<String> program;

    private KernelTexts(List<String> program) {
        this.program = program;
    }

    /** None where the program's own classes are in no jar, since then nothing tells when they change. */
    static Optional<KernelTexts> ofThisProgram(TornadoDevice device, int computeCapability) {
        List<Optional<String>> jars = Stream.concat(
                        Stream.of(KernelTexts.class, CodeStore.class).map(CodeOrigin::jar), CodeOrigin.modules())
                .toList();
        if (jars.contains(Optional.<String>empty())) {
            return Optional.empty();
        }
        List<String> parts = new ArrayList<>();
        jars.forEach(jar -> parts.add(jar.orElseThrow()));
        Stream.of("java.vm.vendor", "java.vm.version", "os.arch")
                .map(System::getProperty)
                .forEach(parts::add);
        parts.add(device.getPhysicalDevice().getDeviceName() + " " + computeCapability);
        parts.add("NVRTC " + CUDAProgram.getNvrtcVersion());
        parts.add("driver " + Driver.version());
        return Optional.of(new KernelTexts(List.copyOf(parts)));
    }

    /** What a task's text is known by, or empty where it is not to be kept. */
    Optional<List<String>> key(CompilableTask task) {
        TaskDataContext meta = task.meta();
        Object[] arguments = task.getArguments();
        if (!meta.isGridSchedulerEnabled()
                || !meta.isWorkerGridAvailable()
                || meta.getNumThreads() > 0
                || task.getBatchThreads() > 0
                || arguments.length == 0
                || !(arguments[0] instanceof KernelContext)) {
            return Optional.empty();
        }
        List<String> key = new ArrayList<>(program);
        System.getProperties().stringPropertyNames().stream()
                .filter(name -> name.startsWith("tornado") && !name.equals(CodeStore.PROPERTY))
                .sorted()
                .map(name -> name + "=" + System.getProperty(name))
                .forEach(key::add);
        key.add("sequential " + meta.isGridSequential());
        key.add(task.getMethod().toString());
        for (Object argument : arguments) {
            Optional<String> part = constant(argument);
            if (part.isEmpty()) {
                return Optional.empty();
            }
            key.add(part.get());
        }
        return KernelForge.classFiles(task.getMethod().getDeclaringClass()).map(files -> {
            new TreeMap<>(files).forEach((name, file) -> {
                key.add(name);
                key.add(new String(file, StandardCharsets.ISO_8859_1));
            });
            return key;
        });
    }

    /** What the compiler knows of an argument. */
    private static Optional<String> constant(Object argument) {
        return switch (argument) {
            case KernelContext _ -> Optional.of("context");
            case Number number -> Optional.of(number.getClass() + " " + number);
            case TornadoNativeArray array ->
                Optional.of(array.getClass() + " " + array.getSize() + " " + array.getNumBytesOfSegmentWithHeader());
            default -> Optional.empty();
        };
    }

    /**
     * A kernel as it was kept.
     *
     * @param text CUDA C
     * @param machineCode a cubin
     */
    record Kept(byte[] text, byte[] machineCode) {}

    Optional<Kept> find(List<String> key) {
        return store.find(key).map(KernelTexts::unpacked);
    }

    void keep(List<String> key, Kept kernel) {
        store.keep(key, packed(kernel));
    }

    /** The text's size, the size of what it is packed into, that, and the machine code. */
    private static byte[] packed(Kept kernel) {
        Deflater deflater = new Deflater(Deflater.BEST_SPEED);
        try {
            deflater.setInput(kernel.text);
            deflater.finish();
            byte[] packed = new byte[kernel.text.length + kernel.text.length / 1000 + 1024]; // if it gets no smaller
            int size = deflater.deflate(packed);
            return ByteBuffer.allocate(2 * Integer.BYTES + size + kernel.machineCode.length)
                    .putInt(kernel.text.length)
                    .putInt(size)
                    .put(packed, 0, size)
                    .put(kernel.machineCode)
                    .array();
        } finally {
            deflater.end();
        }
    }

    private static Kept unpacked(byte[] file) {
        ByteBuffer parts = ByteBuffer.wrap(file);
        byte[] text = new byte[parts.getInt()];
        int size = parts.getInt();
        Inflater inflater = new Inflater();
        try {
            inflater.setInput(file, parts.position(), size);
            if (inflater.inflate(text) != text.length) {
                throw new IllegalStateException("A text that was kept is not whole");
            }
        } catch (DataFormatException e) {
            throw new IllegalStateException("A text that was kept cannot be unpacked", e);
        } finally {
            inflater.end();
        }
        return new Kept(text, Arrays.copyOfRange(file, parts.position() + size, file.length));
    }
}
