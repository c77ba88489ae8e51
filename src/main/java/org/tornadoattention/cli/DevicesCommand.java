package org.tornadoattention.cli;

import picocli.CommandLine.Command;

/** {@code attention devices}. */
@Command(name = "devices", mixinStandardHelpOptions = true)
final class DevicesCommand implements Runnable {
    @Override
    public void run() {}
}
