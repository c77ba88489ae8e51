package uk.ac.manchester.tornado.api;

import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

/** The backends and devices of this JVM. */
public interface TornadoRuntime {

    /** Returns the backend at {@code index}. */
    TornadoBackend getBackend(int index);

    /** Makes the backend at {@code index} the default. */
    void setDefaultBackend(int index);

    /** Returns which backend is at {@code index}. */
    TornadoVMBackendType getBackendType(int index);

    /** Returns the backend of that class. */
    <D extends TornadoBackend> D getBackend(Class<D> type);

    /** Returns the number of backends. */
    int getNumBackends();

    /** Returns the device that runs what names none. */
    TornadoDevice getDefaultDevice();

    /** Returns the index of the backend of that class. */
    <D extends TornadoBackend> int getBackendIndex(Class<D> driverClass);

    /** Returns whether profiles are taken without being asked for. */
    boolean isProfilerEnabled();

    /** Returns whether power is measured. */
    boolean isPowerMonitoringEnabled();

    /** Returns the power in milliwatts, where it is measured. */
    long getPowerMetric();
}
