package org.tornadoattention.spark;

import java.io.Serializable;
import java.util.Objects;
import java.util.Optional;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceInformation;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.device.Devices;

/** Which device of its executor a task of Spark's computes on. */
public sealed interface TaskDevice extends Serializable {

    /**
     * Finds the device; called on an executor, within a task.
     *
     * @return one of {@link Devices#all()} of the executor
     * @throws IllegalStateException if Spark gave the task no such device, or not exactly one
     * @throws IllegalArgumentException if the executor has none of that number, listing those that it has
     */
    ComputeDevice find();

    /**
     * The vector units of the executor's cores. Give executors {@code -Dtornadoattention.threads=}<i>the value of</i>
     * {@code spark.task.cpus}, since tasks of an executor run at the same time and each would take all cores.
     *
     * @return the JVM engine
     */
    static TaskDevice jvm() {
        return new OnJvm();
    }

    /**
     * The device whose address Spark gave the task as resource {@code gpu}.
     *
     * @param backend the backend of TornadoVM's that numbers devices as Spark's addresses do, such as
     *     {@link Backend#CUDA}
     * @return one device for each task
     */
    static TaskDevice gpu(Backend backend) {
        return new Scheduled(backend, "gpu");
    }

    /**
     * The device whose address Spark gave the task.
     *
     * @param backend the backend of TornadoVM's that numbers devices as Spark's addresses do
     * @param resource the resource's name, such as {@code gpu}
     * @return one device for each task
     */
    static TaskDevice scheduled(Backend backend, String resource) {
        return new Scheduled(backend, resource);
    }

    /** The executor's cores. */
    record OnJvm() implements TaskDevice {

        @Override
        public ComputeDevice find() {
            return Devices.find(Optional.of(Backend.JVM), Optional.empty());
        }
    }

    /**
     * A device by the address that Spark gave.
     *
     * @param backend TornadoVM's backend
     * @param resource the resource's name
     */
    record Scheduled(Backend backend, String resource) implements TaskDevice {

        /** Checks that both are given. */
        public Scheduled {
            Objects.requireNonNull(backend, "backend");
            Objects.requireNonNull(resource, "resource");
        }

        @Override
        public ComputeDevice find() {
            TaskContext context = TaskContext.get();
            if (context == null) {
                throw new IllegalStateException("A device is for a task of Spark's, and this is none.");
            }
            ResourceInformation given = context.resourcesJMap().get(resource);
            if (given == null || given.addresses().length != 1) {
                throw new IllegalStateException(
                        "Spark gave the task %s of resource '%s', and a task takes one: set spark.task.resource.%s.amount=1 and spark.executor.resource.%s.amount, or a ResourceProfile."
                                .formatted(
                                        given == null ? "nothing" : String.join(", ", given.addresses()),
                                        resource,
                                        resource,
                                        resource));
            }
            return Devices.find(Optional.of(backend), Optional.of(index(given.addresses()[0])));
        }

        private int index(String address) {
            try {
                return Integer.parseInt(address);
            } catch (NumberFormatException e) {
                throw new IllegalStateException(
                        "The address of the task's %s is '%s': let Spark's discovery script print numbers of devices, as its own getGpusResources.sh does."
                                .formatted(resource, address),
                        e);
            }
        }
    }
}
