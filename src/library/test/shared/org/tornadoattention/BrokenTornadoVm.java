package org.tornadoattention;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.tools.ToolProvider;

/** A TornadoVM whose runtime does not start, as where its backend's driver finds no device. */
public final class BrokenTornadoVm {

    private static final String RUNTIME = """
            package uk.ac.manchester.tornado.api.runtime;
            public class TornadoRuntimeProvider {
                private static final class Runtime {
                    static final Object CURRENT = start();
                    private static Object start() {
                        throw new IllegalStateException("No CUDADriver platforms found");
                    }
                }
                public static uk.ac.manchester.tornado.api.TornadoRuntime getTornadoRuntime() {
                    return (uk.ac.manchester.tornado.api.TornadoRuntime) Runtime.CURRENT;
                }
            }
            """;

    private BrokenTornadoVm() {}

    /** Options of a JVM with this one's class path and that runtime. */
    public static List<String> options(Path directory) throws IOException {
        Path source = directory.resolve("TornadoRuntimeProvider.java");
        Files.writeString(source, RUNTIME);
        String classPath = System.getProperty("java.class.path");
        int failed = ToolProvider.getSystemJavaCompiler()
                .run(null, null, null, "-proc:none", "-cp", classPath, "-d", directory.toString(), source.toString());
        if (failed != 0) {
            throw new IllegalStateException("The runtime that does not start could not be compiled.");
        }
        return List.of("-cp", directory + File.pathSeparator + classPath);
    }
}
