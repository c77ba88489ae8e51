package org.tornadoattention.cuda;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import uk.ac.manchester.tornado.drivers.cuda.CUDABackendImpl;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.CUDATargetDescription;
import uk.ac.manchester.tornado.drivers.cuda.graal.backend.CUDABackend;
import uk.ac.manchester.tornado.drivers.cuda.runtime.CUDATornadoDevice;
import uk.ac.manchester.tornado.runtime.TornadoCoreRuntime;

/** TornadoVM's state of a GPU, which gives a {@link KeepingDevice} to whoever asks for the device. */
final class KeepingContext extends CUDADeviceContext {

    private final KernelTexts texts;
    private final Runnable beforeCompiling;

    private KeepingContext(CUDADeviceContext context, KernelTexts texts, Runnable beforeCompiling)
            throws ReflectiveOperationException {
        super(context.getDevice(), context.getPlatformContext());
        this.texts = texts;
        this.beforeCompiling = beforeCompiling;
        for (Field field : CUDADeviceContext.class.getDeclaredFields()) {
            if (!Modifier.isStatic(field.getModifiers())) {
                field.setAccessible(true);
                field.set(this, field.get(context));
            }
        }
    }

    /**
     * Puts one in the place of a device's context. Maps and memory stay what they are, so that what began with the one
     * goes on with the other.
     *
     * @param beforeCompiling what another thread may begin with while a text is made
     * @throws ReflectiveOperationException if TornadoVM is not as it was when this was written, or not opened to this
     *     module
     */
    static void give(CUDADeviceContext context, KernelTexts texts, Runnable beforeCompiling)
            throws ReflectiveOperationException {
        CUDABackendImpl all = TornadoCoreRuntime.getTornadoRuntime().getBackend(CUDABackendImpl.class);
        CUDABackend[][] ofPlatforms = get(all, "backends", CUDABackend[][].class);
        CUDABackend[] inOrder = get(all, "flatBackends", CUDABackend[].class);
        CUDABackend old = Arrays.stream(inOrder)
                .filter(backend -> backend.getDeviceContext() == context)
                .findFirst()
                .orElseThrow();
        Backend keeping = new Backend(old, new KeepingContext(context, texts, beforeCompiling));
        Arrays.stream(ofPlatforms).forEach(backends -> replace(backends, old, keeping));
        replace(inOrder, old, keeping);
    }

    private static void replace(CUDABackend[] backends, CUDABackend old, CUDABackend by) {
        Arrays.setAll(backends, i -> backends[i] == old ? by : backends[i]);
    }

    private static <T> T get(CUDABackendImpl all, String field, Class<T> type) throws ReflectiveOperationException {
        Field declared = CUDABackendImpl.class.getDeclaredField(field);
        declared.setAccessible(true);
        return type.cast(declared.get(all));
    }

    @Override
    public CUDATornadoDevice toDevice() {
        return new KeepingDevice(
                getPlatformContext().getPlatformIndex(), getDevice().getIndex(), texts, beforeCompiling);
    }

    /** The compiler of a device, which is begun once. */
    private static final class Backend extends CUDABackend {

        private final CUDABackend old;

        Backend(CUDABackend old, CUDADeviceContext context) {
            super(
                    TornadoCoreRuntime.getOptions(),
                    old.getProviders(),
                    (CUDATargetDescription) old.getTarget(),
                    old.getCodeCache(),
                    context);
            this.old = old;
        }

        @Override
        public boolean isInitialised() {
            return old.isInitialised();
        }

        @Override
        public void init() {
            old.init();
        }
    }
}
