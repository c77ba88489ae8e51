package org.tornadoattention.simulator.engine;

import java.lang.reflect.Method;
import java.util.List;
import org.tornadoattention.simulator.instrument.CompiledKernel;
import org.tornadoattention.simulator.instrument.KernelCompiler;
import org.tornadoattention.simulator.instrument.KernelText;
import org.tornadoattention.simulator.instrument.ParameterUse;

/** The instrumented copy of a kernel method. */
record InstrumentedKernel(Method method, CompiledKernel compiled) implements KernelBody {

    @Override
    public String name() {
        return method.getName();
    }

    @Override
    public boolean isInstrumented() {
        return true;
    }

    @Override
    public List<String> parameterNames() {
        return compiled.parameterNames();
    }

    @Override
    public ParameterUse use() {
        return KernelCompiler.use(method);
    }

    @Override
    public List<String> parallelLoops() {
        return compiled.parallelLoops();
    }

    @Override
    public List<String> costPlaces() {
        return compiled.costPlaces();
    }

    @Override
    public KernelText text() {
        return compiled.text();
    }

    @Override
    public void run(Object... arguments) throws Throwable {
        compiled.call().call(arguments);
    }

    @Override
    public String toString() {
        return "an instrumented copy of " + method.toGenericString();
    }
}
