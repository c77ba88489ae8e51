package org.tornadoattention.cli;

import java.io.PrintWriter;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.util.Objects;
import org.tornadoattention.file.UnusableFileException;
import org.tornadoattention.tensor.SafetensorsException;
import picocli.CommandLine;
import picocli.CommandLine.IExecutionExceptionHandler;
import picocli.CommandLine.IParameterExceptionHandler;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.UnmatchedArgumentException;

/** Turns exceptions into a line or two on standard error and an exit code. */
final class Failures implements IParameterExceptionHandler, IExecutionExceptionHandler {

    /** An argument that picocli refuses. */
    @Override
    public int handleParseException(ParameterException failure, String[] arguments) {
        CommandLine command = failure.getCommandLine();
        PrintWriter err = command.getErr();
        String name = command.getCommandSpec().qualifiedName();
        err.println(name + ": " + inWords(String.valueOf(failure.getMessage())));
        if (!UnmatchedArgumentException.printSuggestions(failure, err)) {
            err.println("Try './" + name + " --help'.");
        }
        err.flush();
        return Main.BAD_USAGE;
    }

    /** A message of picocli's about a number, without the names of Java's types. */
    private static String inWords(String message) {
        return message.replaceFirst("' is not an? (int|long)$", "' is no whole number")
                .replaceFirst("' is not a (float|double)$", "' is no number");
    }

    /**
     * A command that could not do its work. Arguments that do not fit together, and files that are not there, not what
     * they should be or not to be written, are bad usage; all else is a failure.
     */
    @Override
    public int handleExecutionException(Exception failure, CommandLine command, ParseResult arguments) {
        boolean stackTrace = command.getCommandSpec().root().userObject() instanceof Main main && main.stackTrace;
        print(command.getErr(), command.getCommandSpec().qualifiedName(), failure, stackTrace);
        return failure instanceof IllegalArgumentException
                        || failure instanceof SafetensorsException
                        || failure instanceof UnusableFileException
                ? Main.BAD_USAGE
                : Main.FAILED;
    }

    static void print(PrintWriter err, String command, Throwable failure, boolean stackTrace) {
        err.println(command + ": " + message(failure));
        if (stackTrace) {
            failure.printStackTrace(err);
        } else if (isUnexpected(failure)) {
            err.println("Add --stacktrace to see where it came from.");
        }
        err.flush();
    }

    /** What happened, in words: the exception's own where they say it, otherwise with its name and the root cause. */
    static String message(Throwable failure) {
        if (failure instanceof OutOfMemoryError) {
            return "The JVM has too little memory (%s). Give it more, such as JDK_JAVA_OPTIONS=-Xmx16g."
                    .formatted(failure.getMessage());
        }
        if (failure instanceof LinkageError) {
            Throwable root = failure;
            while (root.getCause() != null) {
                root = root.getCause();
            }
            return "TornadoVM did not load: %s. Check TORNADOVM_HOME and the drivers of its backends; --backend jvm needs none of it."
                    .formatted(root.getMessage() == null ? root : root.getMessage());
        }
        if (failure instanceof FileSystemException fault) {
            return fault.getFile() + ": " + reason(fault);
        }
        return isUnexpected(failure)
                ? failure.toString()
                : Objects.requireNonNullElseGet(failure.getMessage(), failure::toString);
    }

    private static String reason(FileSystemException fault) {
        return switch (fault) {
            case NoSuchFileException missing -> "there is no such file or directory";
            case AccessDeniedException denied -> "no permission";
            default ->
                Objects.requireNonNullElse(fault.getReason(), fault.getClass().getSimpleName());
        };
    }

    private static boolean isUnexpected(Throwable failure) {
        return !(failure instanceof org.tornadoattention.AttentionException
                || failure instanceof IllegalArgumentException
                || failure instanceof IllegalStateException
                || failure instanceof java.io.IOException
                || failure instanceof LinkageError
                || failure instanceof OutOfMemoryError);
    }
}
