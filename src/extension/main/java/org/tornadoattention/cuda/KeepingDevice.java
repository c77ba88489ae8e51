package org.tornadoattention.cuda;

import java.util.List;
import java.util.Optional;
import jdk.vm.ci.meta.ResolvedJavaMethod;
import uk.ac.manchester.tornado.api.common.Access;
import uk.ac.manchester.tornado.api.common.SchedulableTask;
import uk.ac.manchester.tornado.api.profiler.ProfilerType;
import uk.ac.manchester.tornado.api.profiler.TornadoProfiler;
import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.graal.CUDAInstalledCode;
import uk.ac.manchester.tornado.drivers.cuda.runtime.CUDATornadoDevice;
import uk.ac.manchester.tornado.runtime.TornadoCoreRuntime;
import uk.ac.manchester.tornado.runtime.common.TornadoInstalledCode;
import uk.ac.manchester.tornado.runtime.sketcher.Sketch;
import uk.ac.manchester.tornado.runtime.sketcher.TornadoSketcher;
import uk.ac.manchester.tornado.runtime.tasks.CompilableTask;
import uk.ac.manchester.tornado.runtime.tasks.meta.TaskDataContext;

/** A GPU for which a kernel whose text was kept is not compiled from bytecode again. */
final class KeepingDevice extends CUDATornadoDevice {

    private final KernelTexts texts;
    private final Runnable beforeCompiling;

    /**
     * A GPU by its place in TornadoVM's lists.
     *
     * @param beforeCompiling what another thread may begin with while a text is made
     */
    KeepingDevice(int platform, int device, KernelTexts texts, Runnable beforeCompiling) {
        super(platform, device);
        this.texts = texts;
        this.beforeCompiling = beforeCompiling;
    }

    @Override
    public TornadoInstalledCode installCode(long plan, SchedulableTask task) {
        if (!(task instanceof CompilableTask compilable)) {
            return super.installCode(plan, task);
        }
        task.getProfiler()
                .start(ProfilerType.TASK_COMPILE_DRIVER_TIME, compilable.meta().getId());
        Optional<List<String>> key = texts.key(compilable);
        Optional<KernelTexts.Kept> kept = key.flatMap(texts::find);
        if (kept.isPresent()) {
            return install(plan, compilable, kept.get());
        }
        beforeCompiling.run();
        TornadoInstalledCode code = super.installCode(plan, task);
        if (code instanceof CUDAInstalledCode compiled) {
            codeCache(plan)
                    .takeMade(task.getId(), compiled.getName())
                    .ifPresent(machineCode -> key.ifPresent(
                            known -> texts.keep(known, new KernelTexts.Kept(compiled.getCode(), machineCode))));
        }
        return code;
    }

    private AssemblingCodeCache codeCache(long plan) {
        return (AssemblingCodeCache) getDeviceContext().getCodeCache(plan);
    }

    /** As TornadoVM does with a text that it has made; the profiler's clock runs since the search for it. */
    private TornadoInstalledCode install(long plan, CompilableTask task, KernelTexts.Kept kept) {
        TaskDataContext meta = task.meta();
        ResolvedJavaMethod method = TornadoCoreRuntime.getTornadoRuntime().resolveMethod(task.getMethod());
        Sketch sketch = TornadoSketcher.lookup(method, meta.getBackendIndex(), meta.getDeviceIndex());
        Access[] access = sketch.getArgumentsAccess();
        System.arraycopy(access, 0, meta.getArgumentsAccess(), 0, access.length);
        meta.setCompiledGraph(method);
        TornadoProfiler profiler = task.getProfiler();
        TornadoInstalledCode code = codeCache(plan)
                .load(
                        meta,
                        task.getId(),
                        CUDADeviceContext.checkKernelName(method.getName()),
                        kept.text(),
                        kept.machineCode());
        profiler.stop(ProfilerType.TASK_COMPILE_DRIVER_TIME, meta.getId());
        profiler.sum(
                ProfilerType.TOTAL_DRIVER_COMPILE_TIME,
                profiler.getTaskTimer(ProfilerType.TASK_COMPILE_DRIVER_TIME, meta.getId()));
        return code;
    }

    @Override
    public boolean equals(Object other) {
        return super.equals(other);
    }

    @Override
    public int hashCode() {
        return super.hashCode();
    }
}
