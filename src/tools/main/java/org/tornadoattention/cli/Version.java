package org.tornadoattention.cli;

import java.util.Optional;
import picocli.CommandLine.IVersionProvider;

/** The version of this library, from its jar's manifest. */
final class Version implements IVersionProvider {

    static String current() {
        return Optional.ofNullable(Version.class.getPackage().getImplementationVersion())
                .orElse("development");
    }

    @Override
    public String[] getVersion() {
        return new String[] {"tornado-attention " + current() + ", Java " + Runtime.version()};
    }
}
