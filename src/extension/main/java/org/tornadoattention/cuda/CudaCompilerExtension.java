package org.tornadoattention.cuda;

import com.google.auto.service.AutoService;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.foreign.MemorySegment;
import java.lang.reflect.Field;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongConsumer;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.extension.TestedVersion;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;
import uk.ac.manchester.tornado.drivers.cuda.CUDABackendImpl;
import uk.ac.manchester.tornado.drivers.cuda.CUDACodeCache;
import uk.ac.manchester.tornado.drivers.cuda.CUDADevice;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.runtime.CUDATornadoDevice;
import uk.ac.manchester.tornado.runtime.TornadoCoreRuntime;

/**
 * Installs the warp intrinsics in TornadoVM's CUDA backend: invocation plugins that replace the calls, and a code cache
 * that compiles kernels with such calls for the device's full instruction set. Kernels without them are compiled as
 * ever. Texts and machine code of the library's kernels are kept between runs. Arrays on the device begin at aligned
 * addresses ({@link AlignedBuffers}). GPUs after the first get a context of their own ({@link OwnContext}). What an
 * execution of a plan gives the driver can be recorded ({@link RecordedCommands}).
 */
@AutoService(CompilerExtension.class)
public final class CudaCompilerExtension implements CompilerExtension {

    private static final int COPY_BYTES = 16;
    private static final int AMPERE = 80;
    private static final int HOPPER = 90;
    private static final long KIBI = 1024;
    private static final String HOW_TO_START =
            "start Java with @tornado-config/cuda.args, as ./attention does where the SDK has a CUDA backend";

    private static final Logger LOG = System.getLogger(CudaCompilerExtension.class.getName());

    private static final Map<TornadoDevice, Support> INSTALLED = new ConcurrentHashMap<>();
    private static final Map<TornadoDevice, Boolean> SEPARATED = new ConcurrentHashMap<>();
    private static boolean pluginsRegistered;

    /** For the service loader. */
    public CudaCompilerExtension() {}

    @Override
    public Backend backend() {
        return Backend.CUDA;
    }

    @Override
    public Support install(TornadoDevice device, boolean first) {
        return INSTALLED.computeIfAbsent(device, d -> tryToInstall(d, first));
    }

    @Override
    public TornadoDevice handle(TornadoDevice device) {
        CUDADeviceContext context = (CUDADeviceContext) ((CUDATornadoDevice) device).getDeviceContext();
        return context instanceof KeepingContext ? context.toDevice() : device;
    }

    @Override
    public boolean separates(TornadoDevice device) {
        return SEPARATED.computeIfAbsent(device, CudaCompilerExtension::tryToSeparate);
    }

    @Override
    public boolean records() {
        return true;
    }

    @Override
    public Recorded record(TornadoDevice device, Runnable execution) {
        Support support = INSTALLED.get(device);
        if (support == null || support.level() == Intrinsics.NONE) {
            execution.run();
            return Recorded.refused(support == null ? "the extension is not installed" : support.reason());
        }
        return CommandRecorder.record(execution);
    }

    @Override
    public Optional<MemorySegment> unwritten(long bytes) {
        return HostMemory.allocate(bytes);
    }

    @Override
    public Optional<MemorySegment> pinned(TornadoDevice device, long bytes, LongConsumer freed) {
        Support support = INSTALLED.get(device);
        if (support == null || support.level() == Intrinsics.NONE) {
            return Optional.empty();
        }
        CUDADeviceContext context = (CUDADeviceContext) ((CUDATornadoDevice) device).getDeviceContext();
        return HostMemory.allocatePinned(context.getPlatformContext(), bytes, freed);
    }

    private static boolean tryToSeparate(TornadoDevice device) {
        if (!TestedVersion.objection(CUDADevice.class).isEmpty()) {
            return false;
        }
        try {
            OwnContext.give((CUDADeviceContext) ((CUDATornadoDevice) device).getDeviceContext());
            return true;
        } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
            LOG.log(Level.DEBUG, "no context of its own for " + device, e);
            return false;
        }
    }

    private static Support tryToInstall(TornadoDevice device, boolean first) {
        int capability = computeCapability(device);
        if (capability < AMPERE) {
            return Support.none(
                    capability, "compute capability %d.%d is below 8.0".formatted(capability / 10, capability % 10));
        }
        String objection = TestedVersion.objection(CUDADevice.class);
        if (!objection.isEmpty()) {
            return Support.none(capability, objection);
        }
        if (!first) {
            return Support.none(capability, "CUDA is not TornadoVM's first backend; " + HOW_TO_START);
        }
        if (TornadoNativeArray.ARRAY_HEADER % COPY_BYTES != 0) {
            return Support.none(
                    capability,
                    "TornadoVM's arrays begin %d bytes behind an aligned address, and copies of %d bytes need a multiple of that; start Java without -Dtornado.panama.objectHeader, -XX:-UseCompressedOops and -XX:-UseCompressedClassPointers"
                            .formatted(TornadoNativeArray.ARRAY_HEADER, COPY_BYTES));
        }
        try {
            return install(device, capability);
        } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
            return Support.none(capability, e + "; " + HOW_TO_START);
        }
    }

    private static Support install(TornadoDevice device, int capability) throws ReflectiveOperationException {
        registerPlugins();
        KernelAssembler assembler;
        try {
            assembler = new KernelAssembler(capability);
        } catch (IllegalArgumentException | IllegalCallerException e) {
            return Support.none(capability, "NVRTC cannot be loaded: " + e.getMessage());
        }
        keepTexts(device, capability, assembler);
        CUDADeviceContext context = (CUDADeviceContext) ((CUDATornadoDevice) device).getDeviceContext();
        set(context, "codeCache", new CodeCaches(context, assembler));
        set(context, "commandQueueTable", new RecordingQueues());
        set(context, "bufferProvider", new AlignedBuffers(context, context.getBufferProvider()));
        Intrinsics level = capability == HOPPER ? Intrinsics.WARP_GROUP : Intrinsics.WARP;
        return new Support(level, capability, localMemoryBytes(capability), "");
    }

    private static void keepTexts(TornadoDevice device, int capability, KernelAssembler assembler) {
        Optional<KernelTexts> texts = KernelTexts.ofThisProgram(device, capability);
        if (texts.isPresent()) {
            try {
                CUDADeviceContext context = (CUDADeviceContext) ((CUDATornadoDevice) device).getDeviceContext();
                KeepingContext.give(context, texts.get(), assembler::start);
            } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
                LOG.log(Level.DEBUG, "no texts are kept for " + device, e);
            }
        }
    }

    private static void set(CUDADeviceContext context, String field, Object value) throws ReflectiveOperationException {
        Field declared = CUDADeviceContext.class.getDeclaredField(field);
        declared.setAccessible(true);
        declared.set(context, value);
    }

    /**
     * CUDA C++ Programming Guide, «technical specifications per compute capability»: shared memory of a thread block.
     */
    private static long localMemoryBytes(int capability) {
        return switch (capability) {
            case 80, 87 -> 163 * KIBI;
            case 90, 100, 103 -> 227 * KIBI;
            default -> 99 * KIBI;
        };
    }

    private static synchronized void registerPlugins() {
        if (!pluginsRegistered) {
            WarpPlugins.register(TornadoCoreRuntime.getTornadoRuntime()
                    .getBackend(CUDABackendImpl.class)
                    .getProviders()
                    .getReplacements()
                    .getGraphBuilderPlugins()
                    .getInvocationPlugins());
            pluginsRegistered = true;
        }
    }

    private static int computeCapability(TornadoDevice device) {
        if (!(device.getPhysicalDevice() instanceof CUDADevice gpu)) {
            return 0;
        }
        int[] majorAndMinor = gpu.getComputeCapability();
        return 10 * majorAndMinor[0] + majorAndMinor[1];
    }

    /**
     * TornadoVM's map from execution plans to their code: every cache that it puts here is replaced by one that
     * assembles.
     */
    private static final class CodeCaches extends ConcurrentHashMap<Long, CUDACodeCache> {

        private static final long serialVersionUID = 1L;

        private final transient CUDADeviceContext context;
        private final transient KernelAssembler assembler;

        CodeCaches(CUDADeviceContext context, KernelAssembler assembler) {
            this.context = context;
            this.assembler = assembler;
        }

        @Override
        public CUDACodeCache put(Long plan, CUDACodeCache plain) {
            return super.put(plan, new AssemblingCodeCache(context, assembler));
        }
    }
}
