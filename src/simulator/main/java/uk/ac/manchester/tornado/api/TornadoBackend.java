package uk.ac.manchester.tornado.api;

import java.util.List;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/** A code generator and the devices that it serves. */
public interface TornadoBackend {

    /** Returns the device that runs what names none. */
    TornadoDevice getDefaultDevice();

    /** Makes the device at {@code index} the default. */
    void setDefaultDevice(int index);

    /** Returns the number of devices. */
    int getNumDevices();

    /** Returns the device at {@code index}. */
    TornadoDevice getDevice(int index);

    /** Returns all devices. */
    List<TornadoDevice> getAllDevices();

    /** Returns the kind of the default device. */
    TornadoDeviceType getTypeDefaultDevice();

    /** Returns the name of the backend. */
    String getName();

    /** Returns the number of platforms. */
    int getNumPlatforms();

    /** Returns which backend it is. */
    TornadoVMBackendType getBackendType();
}
