package org.tornadoattention.internal;

import java.lang.classfile.ClassFile;
import java.lang.constant.ClassDesc;
import java.lang.constant.ConstantDescs;
import java.lang.constant.MethodTypeDesc;
import java.lang.invoke.MethodHandles;
import uk.ac.manchester.tornado.api.TaskGraph;

/**
 * Refuses tasks of this library in a task graph that has a snapshot already: TornadoVM would take them and never run
 * them, without a word. Its graphs do not know that there is a snapshot, so those that are made from now on are of a
 * subclass that does, which TornadoVM finds by the property that names its class of graphs. Tasks that the user's
 * program adds by itself are left to TornadoVM.
 */
public final class Snapshots {

    /** Names the class of which TornadoVM makes a graph for each {@link TaskGraph}. */
    private static final String PROPERTY = "tornado.load.api.implementation";

    private static final String OF_TORNADO_VM = "uk.ac.manchester.tornado.runtime.tasks.TornadoTaskGraph";
    private static final String OF_OURS = Snapshots.class.getPackageName() + ".WatchedTaskGraph";

    private static final ScopedValue<String> APPENDED = ScopedValue.newInstance();

    private Snapshots() {}

    /** What adds a task to a graph. */
    @FunctionalInterface
    public interface Appending {

        /**
         * Adds it.
         *
         * @throws Throwable what TornadoVM throws
         */
        void run() throws Throwable;
    }

    /**
     * Adds a task of this library to a graph.
     *
     * @param task its name
     * @param appending adds it, on this thread
     * @throws IllegalStateException if the graph has a snapshot
     * @throws Throwable what {@code appending} throws
     */
    public static void append(String task, Appending appending) throws Throwable {
        ScopedValue.where(APPENDED, task).call(() -> {
            appending.run();
            return null;
        });
    }

    /** Called by watched graphs when they are given a task. */
    static void refuse(boolean hasSnapshot, String graph) {
        if (hasSnapshot && APPENDED.isBound()) {
            throw new IllegalStateException(
                    "Task graph %s has a snapshot already, of which the task %s would be no part; append everything before snapshot()"
                            .formatted(graph, APPENDED.get()));
        }
    }

    /** Has graphs that are made from now on watched, where TornadoVM's own would be made and can find the subclass. */
    public static synchronized void watch() {
        ClassLoader loader = Snapshots.class.getClassLoader();
        if (OF_TORNADO_VM.equals(System.getProperty(PROPERTY)) && loader == TaskGraph.class.getClassLoader()) {
            try {
                MethodHandles.lookup().defineClass(watchedGraph());
            } catch (IllegalAccessException e) {
                throw new IllegalStateException("No class beside " + Snapshots.class, e);
            }
            System.setProperty(PROPERTY, OF_OURS);
        }
    }

    private static byte[] watchedGraph() {
        ClassDesc ours = ClassDesc.of(OF_OURS);
        ClassDesc tornadoVM = ClassDesc.of(OF_TORNADO_VM);
        MethodTypeDesc ofName = MethodTypeDesc.of(ConstantDescs.CD_void, ConstantDescs.CD_String);
        MethodTypeDesc ofTask = MethodTypeDesc.of(
                ConstantDescs.CD_void, ClassDesc.of("uk.ac.manchester.tornado.api.common.TaskPackage"));
        MethodTypeDesc toSnapshot = MethodTypeDesc.of(tornadoVM);
        String snapshot = "createImmutableTaskGraph";
        String hasSnapshot = "hasSnapshot";
        return ClassFile.of()
                .build(
                        ours,
                        type -> type.withSuperclass(tornadoVM)
                                .withFlags(ClassFile.ACC_PUBLIC | ClassFile.ACC_FINAL | ClassFile.ACC_SUPER)
                                .withField(
                                        hasSnapshot,
                                        ConstantDescs.CD_boolean,
                                        ClassFile.ACC_PRIVATE | ClassFile.ACC_VOLATILE)
                                .withMethodBody(
                                        ConstantDescs.INIT_NAME,
                                        ofName,
                                        ClassFile.ACC_PUBLIC,
                                        code -> code.aload(0)
                                                .aload(1)
                                                .invokespecial(tornadoVM, ConstantDescs.INIT_NAME, ofName)
                                                .return_())
                                .withMethodBody(
                                        snapshot,
                                        toSnapshot,
                                        ClassFile.ACC_PUBLIC,
                                        code -> code.aload(0)
                                                .iconst_1()
                                                .putfield(ours, hasSnapshot, ConstantDescs.CD_boolean)
                                                .aload(0)
                                                .invokespecial(tornadoVM, snapshot, toSnapshot)
                                                .areturn())
                                .withMethodBody(
                                        "addTask",
                                        ofTask,
                                        ClassFile.ACC_PUBLIC,
                                        code -> code.aload(0)
                                                .getfield(ours, hasSnapshot, ConstantDescs.CD_boolean)
                                                .aload(0)
                                                .invokevirtual(
                                                        tornadoVM,
                                                        "getTaskGraphName",
                                                        MethodTypeDesc.of(ConstantDescs.CD_String))
                                                .invokestatic(
                                                        ClassDesc.of(Snapshots.class.getName()),
                                                        "refuse",
                                                        MethodTypeDesc.of(
                                                                ConstantDescs.CD_void,
                                                                ConstantDescs.CD_boolean,
                                                                ConstantDescs.CD_String))
                                                .aload(0)
                                                .aload(1)
                                                .invokespecial(tornadoVM, "addTask", ofTask)
                                                .return_()));
    }
}
