package org.tornadoattention.device;

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

    /** Waits until the device has done what it was given. */
    void await();
}
