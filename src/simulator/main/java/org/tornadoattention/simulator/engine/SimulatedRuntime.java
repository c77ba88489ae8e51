package org.tornadoattention.simulator.engine;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;
import org.tornadoattention.simulator.Simulator;
import uk.ac.manchester.tornado.api.TornadoBackend;
import uk.ac.manchester.tornado.api.TornadoRuntime;
import uk.ac.manchester.tornado.api.common.TornadoDevice;
import uk.ac.manchester.tornado.api.enums.TornadoDeviceType;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;
import uk.ac.manchester.tornado.api.exceptions.TornadoBackendNotFound;
import uk.ac.manchester.tornado.api.exceptions.TornadoDeviceNotFound;

/** The simulator's runtime and its only backend, with as many devices as the settings say. */
public final class SimulatedRuntime implements TornadoRuntime, TornadoBackend {

    private static final SimulatedRuntime INSTANCE = new SimulatedRuntime();

    private final List<SimulatedDevice> devices = new ArrayList<>();

    private SimulatedRuntime() {}

    /** Returns the runtime. */
    public static SimulatedRuntime instance() {
        return INSTANCE;
    }

    static SimulatedDevice device() {
        return INSTANCE.device(0);
    }

    private synchronized SimulatedDevice device(int index) {
        while (devices.size() <= index) {
            devices.add(new SimulatedDevice(devices.size()));
        }
        return devices.get(index);
    }

    @Override
    public TornadoBackend getBackend(int index) {
        if (index != 0) {
            throw new TornadoBackendNotFound("There is no backend " + index + "; the simulator has backend 0 only");
        }
        return this;
    }

    @Override
    public void setDefaultBackend(int index) {
        getBackend(index);
    }

    @Override
    public TornadoVMBackendType getBackendType(int index) {
        return getBackend(index).getBackendType();
    }

    @Override
    public <D extends TornadoBackend> D getBackend(Class<D> type) {
        getBackendIndex(type);
        return type.cast(this);
    }

    @Override
    public int getNumBackends() {
        return 1;
    }

    @Override
    public TornadoDevice getDefaultDevice() {
        return device();
    }

    @Override
    public <D extends TornadoBackend> int getBackendIndex(Class<D> driverClass) {
        if (!driverClass.isInstance(this)) {
            throw new TornadoBackendNotFound("The simulator has no backend of class " + driverClass.getName());
        }
        return 0;
    }

    @Override
    public boolean isProfilerEnabled() {
        return Boolean.getBoolean("tornado.profiler");
    }

    @Override
    public boolean isPowerMonitoringEnabled() {
        return false;
    }

    @Override
    public long getPowerMetric() {
        return -1;
    }

    @Override
    public void setDefaultDevice(int index) {
        getDevice(index);
    }

    @Override
    public int getNumDevices() {
        return Simulator.settings().devices();
    }

    @Override
    public TornadoDevice getDevice(int index) {
        if (index < 0 || index >= getNumDevices()) {
            throw new TornadoDeviceNotFound("There is no device " + index + "; the simulator has "
                    + (getNumDevices() == 1 ? "device 0 only" : "devices 0 to " + (getNumDevices() - 1))
                    + ", and -Dtornadoattention.simulator.devices=N gives it others");
        }
        return device(index);
    }

    @Override
    public List<TornadoDevice> getAllDevices() {
        return IntStream.range(0, getNumDevices())
                .<TornadoDevice>mapToObj(this::device)
                .toList();
    }

    @Override
    public TornadoDeviceType getTypeDefaultDevice() {
        return device().getDeviceType();
    }

    @Override
    public String getName() {
        return "Simulator";
    }

    @Override
    public int getNumPlatforms() {
        return 1;
    }

    @Override
    public TornadoVMBackendType getBackendType() {
        return TornadoVMBackendType.JAVA;
    }
}
