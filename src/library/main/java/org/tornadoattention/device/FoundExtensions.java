package org.tornadoattention.device;

import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.concurrent.ConcurrentHashMap;

/** The extensions that the class path has. A search opens each of its files, which takes a millisecond and more. */
final class FoundExtensions {

    private static final Map<Backend, Optional<CompilerExtension>> FOUND = new ConcurrentHashMap<>();

    private FoundExtensions() {}

    /** The extension of a backend, searched for once. */
    static Optional<CompilerExtension> of(Backend backend) {
        return FOUND.computeIfAbsent(
                backend,
                any -> ServiceLoader.load(CompilerExtension.class).stream()
                        .map(ServiceLoader.Provider::get)
                        .filter(extension -> extension.backend() == any)
                        .findFirst());
    }
}
