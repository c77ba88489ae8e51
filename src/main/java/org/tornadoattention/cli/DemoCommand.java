package org.tornadoattention.cli;

import picocli.CommandLine.Command;

/** {@code attention demo}. */
@Command(name = "demo", mixinStandardHelpOptions = true)
final class DemoCommand implements Runnable {
    @Override
    public void run() {}
}
