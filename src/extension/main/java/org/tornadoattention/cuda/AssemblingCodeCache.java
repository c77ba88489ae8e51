package org.tornadoattention.cuda;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import uk.ac.manchester.tornado.api.exceptions.TornadoBailoutRuntimeException;
import uk.ac.manchester.tornado.drivers.cuda.CUDACodeCache;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.CUDAKernel;
import uk.ac.manchester.tornado.drivers.cuda.CUDAProgram;
import uk.ac.manchester.tornado.drivers.cuda.graal.CUDAInstalledCode;
import uk.ac.manchester.tornado.runtime.common.RuntimeUtilities;
import uk.ac.manchester.tornado.runtime.tasks.meta.TaskDataContext;

/**
 * The code of one execution plan: compiled by the {@link KernelAssembler}, and where that does not compile a kernel
 * without warp intrinsics, by TornadoVM. Launches of all of them can be recorded.
 */
final class AssemblingCodeCache extends CUDACodeCache {

    private final CUDADeviceContext context;
    private final KernelAssembler assembler;
    private final Map<String, CUDAInstalledCode> assembled = new ConcurrentHashMap<>();
    private final Map<String, byte[]> made = new ConcurrentHashMap<>();
    private final Map<CUDAInstalledCode, RecordingCode> recording = new ConcurrentHashMap<>();

    AssemblingCodeCache(CUDADeviceContext context, KernelAssembler assembler) {
        super(context);
        this.context = context;
        this.assembler = assembler;
    }

    @Override
    public CUDAInstalledCode installSource(TaskDataContext meta, String id, String entryPoint, byte[] source) {
        String text = DeclarationOrder.of(new String(source, StandardCharsets.UTF_8));
        Optional<byte[]> cubin =
                text.contains(CudaText.MARK) ? Optional.of(assembler.assemble(text, entryPoint)) : plain(text);
        if (cubin.isEmpty()) {
            return recording(super.installSource(meta, id, entryPoint, source));
        }
        made.put(key(id, entryPoint), cubin.get());
        return load(meta, id, entryPoint, source, cubin.get());
    }

    /** The machine code that was made for a kernel, for whoever asks first. */
    Optional<byte[]> takeMade(String id, String entryPoint) {
        return Optional.ofNullable(made.remove(key(id, entryPoint)));
    }

    /** Loads machine code. */
    CUDAInstalledCode load(TaskDataContext meta, String id, String entryPoint, byte[] source, byte[] cubin) {
        if (meta.isPrintKernelEnabled()) {
            RuntimeUtilities.dumpKernel(source);
        }
        CUDAProgram program = context.createProgramWithBinary(cubin, new long[] {cubin.length});
        program.build("");
        CUDAKernel kernel = program.clCreateKernel(entryPoint);
        CUDAInstalledCode code = new CUDAInstalledCode(entryPoint, source, context, program, kernel, false);
        assembled.put(key(id, entryPoint), code);
        return recording(code);
    }

    /**
     * Empty where NVRTC needs what TornadoVM alone knows, such as where headers are, or where it finds a mistake to
     * tell.
     */
    private Optional<byte[]> plain(String text) {
        try {
            return Optional.of(assembler.compilePlainly(text));
        } catch (TornadoBailoutRuntimeException e) {
            return Optional.empty();
        }
    }

    private CUDAInstalledCode recording(CUDAInstalledCode code) {
        return code.isValid() ? recording.computeIfAbsent(code, each -> new RecordingCode(each, context)) : code;
    }

    @Override
    public boolean isCached(String key) {
        return assembled.containsKey(key) || super.isCached(key);
    }

    @Override
    public CUDAInstalledCode getInstalledCode(String id, String entryPoint) {
        CUDAInstalledCode code = assembled.get(key(id, entryPoint));
        return recording(code != null ? code : super.getInstalledCode(id, entryPoint));
    }

    @Override
    public void reset() {
        assembled.values().forEach(CUDAInstalledCode::invalidate);
        assembled.clear();
        made.clear();
        recording.clear();
        super.reset();
    }

    private static String key(String id, String entryPoint) {
        return id + "-" + entryPoint;
    }
}
