package org.tornadoattention.cuda;

import uk.ac.manchester.tornado.drivers.cuda.CUDADeviceContext;
import uk.ac.manchester.tornado.drivers.cuda.graal.CUDAInstalledCode;

/** Code of TornadoVM's whose launches can be recorded. */
final class RecordingCode extends CUDAInstalledCode {

    private final CUDAInstalledCode code;

    /** The same code with a {@link RecordingKernel}; whoever has this one need not keep the other. */
    RecordingCode(CUDAInstalledCode code, CUDADeviceContext context) {
        super(
                code.getName(),
                code.getCode(),
                context,
                code.getProgram(),
                new RecordingKernel(code.getKernel(), context),
                false);
        this.code = code;
    }

    @Override
    public void invalidate() {
        code.invalidate();
    }

    @Override
    public boolean isValid() {
        return code.isValid();
    }
}
