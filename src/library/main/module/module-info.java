/** FlashAttention on TornadoVM: the module {@code tornado.api} is that of an SDK, or the simulator in its place. */
@SuppressWarnings("module") // the tools are compiled after the library
module org.tornadoattention {
    requires transitive tornado.api;
    requires com.fasterxml.jackson.core;
    requires static jdk.incubator.vector; // plain loops without it
    requires static jdk.management; // asked whether multiply-adds are fast

    exports org.tornadoattention;
    exports org.tornadoattention.cache;
    exports org.tornadoattention.device;
    exports org.tornadoattention.intrinsic;
    exports org.tornadoattention.choice;
    exports org.tornadoattention.reference;
    exports org.tornadoattention.tensor;
    exports org.tornadoattention.forge to
            org.tornadoattention.tools;
    exports org.tornadoattention.file to
            org.tornadoattention.tools;
    exports org.tornadoattention.kernel to
            org.tornadoattention.tools;

    // TornadoVM finds a kernel's method by reflection.
    opens org.tornadoattention.kernel;

    uses org.tornadoattention.device.CompilerExtension;
}
