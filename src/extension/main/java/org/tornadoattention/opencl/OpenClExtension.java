package org.tornadoattention.opencl;

import com.google.auto.service.AutoService;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.extension.ReinterpretExtension;
import org.tornadoattention.extension.ReinterpretNode;
import org.tornadoattention.extension.ReinterpretPlugins;
import uk.ac.manchester.tornado.drivers.opencl.OCLBackendImpl;
import uk.ac.manchester.tornado.drivers.opencl.graal.asm.OCLAssembler.OCLUnaryIntrinsic;
import uk.ac.manchester.tornado.drivers.opencl.graal.lir.OCLLIRStmt;
import uk.ac.manchester.tornado.drivers.opencl.graal.lir.OCLUnary;

/** {@code as_float} and {@code as_int} of OpenCL C. */
@AutoService(CompilerExtension.class)
public final class OpenClExtension extends ReinterpretExtension {

    /** For the service loader. */
    public OpenClExtension() {
        super(Backend.OPENCL);
    }

    @Override
    protected ReinterpretPlugins plugins() {
        return new ReinterpretPlugins(
                OCLBackendImpl.class, call(OCLUnaryIntrinsic.AS_FLOAT), call(OCLUnaryIntrinsic.AS_INT));
    }

    private static ReinterpretNode.Statement call(OCLUnaryIntrinsic function) {
        return (result, kind, value) ->
                new OCLLIRStmt.AssignStmt(result, new OCLUnary.Intrinsic(function, kind, value));
    }
}
