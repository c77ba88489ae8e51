package org.tornadoattention.extension;

/** The version of TornadoVM whose internals the extensions were written for and tested with. */
public final class TestedVersion {

    private static final String TESTED = "5.2.0";

    private TestedVersion() {}

    /** Why a backend is of no tested version, empty if it is of one; {@code part} is a class of the backend. */
    public static String objection(Class<?> part) {
        String version = version(part);
        return version.startsWith(TESTED) ? "" : "TornadoVM is " + version + ", and they were tested with " + TESTED;
    }

    /** TornadoVM's version, from the name of the backend's jar. */
    private static String version(Class<?> part) {
        return ModuleLayer.boot()
                .configuration()
                .findModule(part.getModule().getName())
                .flatMap(module -> module.reference().location())
                .map(location -> location.getPath().replaceAll(".*/tornado-drivers-[a-z]+-(.*)\\.jar", "$1"))
                .orElse("of unknown version");
    }
}
