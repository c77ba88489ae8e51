package org.tornadoattention.cli;

import picocli.CommandLine.Command;

/** {@code attention run}. */
@Command(name = "run", mixinStandardHelpOptions = true)
final class RunCommand implements Runnable {
    @Override
    public void run() {}
}
