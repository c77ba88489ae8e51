package org.tornadoattention.extension;

import org.tornadoattention.device.Backend;
import org.tornadoattention.device.CompilerExtension;
import org.tornadoattention.device.Intrinsics;
import org.tornadoattention.intrinsic.Reinterpret;
import uk.ac.manchester.tornado.api.common.TornadoDevice;

/**
 * Teaches a backend's compiler {@link Reinterpret}, and no more. Names nothing of Graal's, so that it can be asked, and
 * say why, where a JVM was started without access to it.
 */
public abstract class ReinterpretExtension implements CompilerExtension {

    private static final String HOW_TO_START =
            "start Java with @tornado-config/tornadovm.args, as ./attention does with an SDK";

    private final Backend backend;
    private boolean registered;

    /** For a backend. */
    protected ReinterpretExtension(Backend backend) {
        this.backend = backend;
    }

    /** What the backend's compiler makes of the calls. */
    protected abstract ReinterpretPlugins plugins();

    @Override
    public final Backend backend() {
        return backend;
    }

    @Override
    public final synchronized Support install(TornadoDevice device, boolean first) {
        String objection = TestedVersion.objection(device.getClass());
        if (!objection.isEmpty()) {
            return Support.none(0, objection);
        }
        try {
            if (!registered) {
                plugins().register();
                registered = true;
            }
        } catch (RuntimeException | LinkageError e) {
            return Support.none(0, e + "; " + HOW_TO_START);
        }
        return new Support(Intrinsics.REINTERPRET, 0, 0, "only the extension of CUDA's compiler has them");
    }
}
