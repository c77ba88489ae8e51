package org.tornadoattention.cuda;

import java.lang.reflect.Field;
import java.lang.reflect.Method;
import uk.ac.manchester.tornado.drivers.cuda.CUDAContext;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.CUDAPlatform;
import uk.ac.manchester.tornado.drivers.cuda.mm.CUDAMemoryManager;

/**
 * A CUDA context of its own for each GPU after the first. TornadoVM 5.2 makes one for all of them, on the first GPU,
 * where then all memory lies and all kernels run, whatever device a plan names: nothing is wrong but that the others
 * stand idle.
 */
final class OwnContext {

    private static final long NONE = -1;

    private OwnContext() {}

    /**
     * Gives a device a context on its own GPU, unless it has one. Nothing of it may have been used before.
     *
     * @throws ReflectiveOperationException if TornadoVM is not as it was when this was written, or not opened to this
     *     module
     * @throws IllegalStateException if the driver makes no context
     */
    static void give(CUDADeviceContext device) throws ReflectiveOperationException {
        CUDAContext shared = device.getPlatformContext();
        if (device.getDevice().getIndex() == 0 || shared instanceof Own) {
            return;
        }
        CUDAPlatform platform = shared.getPlatform();
        Method create = CUDAPlatform.class.getDeclaredMethod("clCreateContext", long.class, long[].class);
        create.setAccessible(true);
        long pointer = (long)
                create.invoke(platform, 0L, new long[] {device.getDevice().getDevicePointer()});
        if (pointer == 0) {
            throw new IllegalStateException("the driver makes no context on " + device);
        }
        set(CUDADeviceContext.class, device, "context", new Own(platform, pointer));
        CUDAMemoryManager memory = device.getMemoryManager();
        set(CUDAMemoryManager.class, memory, "atomicsRegionPointer", NONE);
        memory.allocateDeviceMemoryRegions();
    }

    private static <T> void set(Class<T> type, T object, String field, Object value)
            throws ReflectiveOperationException {
        Field declared = type.getDeclaredField(field);
        declared.setAccessible(true);
        declared.set(object, value);
    }

    /** TornadoVM finds a device in the list by its index, so the list stays that of the platform. */
    private static final class Own extends CUDAContext {
        Own(CUDAPlatform platform, long pointer) {
            super(platform, pointer, platform.getDevices());
        }
    }
}
