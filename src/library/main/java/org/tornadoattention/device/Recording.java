package org.tornadoattention.device;

import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;

/**
 * What one execution of a plan gave a device's driver: bytes to the device, kernels, bytes to the host, in their order. It can be
 * given again without TornadoVM's interpreter in between, over the same memory and with the same arguments. One thread at a time
 * may use it, any thread.
 *
 * <p>A driver that fails raises an {@link IllegalStateException} that names its function and error; so does a plan that was closed.
 */
public interface Recording {

    /** Gives all of it to the device, and does not wait. */
    void launch();

    /**
     * Copies an array on this recording's device to one on another's, over the shortest way that the hardware has, when what was
     * launched before is done; {@link #await} waits for it. The receiver's device must be at rest.
     *
     * @param array an array that this plan brings to its device
     * @param receiver a recording of the same backend
     * @param target an array of as many bytes that the receiver's plan brings to its device
     * @throws IllegalArgumentException if an array is not on its device, or sizes differ
     */
    void send(TornadoNativeArray array, Recording receiver, TornadoNativeArray target);

    /** Waits until the device has done what it was given. */
    void await();
}
