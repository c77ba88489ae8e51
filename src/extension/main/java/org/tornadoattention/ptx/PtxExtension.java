package org.tornadoattention.ptx;

import com.google.auto.service.AutoService;
import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.extension.ReinterpretExtension;
import org.tornadoattention.extension.ReinterpretNode;
import org.tornadoattention.extension.ReinterpretPlugins;
import uk.ac.manchester.tornado.drivers.ptx.PTXBackendImpl;
import uk.ac.manchester.tornado.drivers.ptx.graal.asm.PTXAssembler.PTXUnaryOp;
import uk.ac.manchester.tornado.drivers.ptx.graal.lir.PTXLIRStmt;
import uk.ac.manchester.tornado.drivers.ptx.graal.lir.PTXUnary;

/** {@code mov.b32} of PTX: registers have types there, and this instruction asks for none. */
@AutoService(CompilerExtension.class)
public final class PtxExtension extends ReinterpretExtension {

    /** For the service loader. */
    public PtxExtension() {
        super(Backend.PTX);
    }

    @Override
    protected ReinterpretPlugins plugins() {
        PTXUnaryOp move = new PTXUnaryOp("mov", null, true, true);
        ReinterpretNode.Statement statement =
                (result, kind, value) -> new PTXLIRStmt.AssignStmt(result, new PTXUnary.Expr(move, kind, value));
        return new ReinterpretPlugins(PTXBackendImpl.class, statement, statement);
    }
}
