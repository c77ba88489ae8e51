package org.tornadoattention;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Tests side by side are all run, once, and what fails, dies or hangs is said. */
class ParallelTestsTest {

    /** What is run; the build itself leaves nested classes out. */
    static final class Planted {

        static List<Integer> numbers() {
            return List.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18);
        }

        @ParameterizedTest
        @MethodSource("numbers")
        void areNotThirteen(int number) {
            assertThat(number).isNotEqualTo(13);
        }

        @Test
        void isLeftOut() {
            Assumptions.abort();
        }
    }

    static final class Dying {

        @Test
        void endsItsJvm() {
            Runtime.getRuntime().halt(1);
        }

        @Test
        void passes() {}
    }

    static final class Hanging {

        @Test
        void hangs() throws InterruptedException {
            Thread.sleep(Long.MAX_VALUE);
        }
    }

    private static JavaProcess run(Class<?> tests, String... options) {
        String[] command = new String[options.length + 4];
        command[0] = ParallelTests.class.getName();
        command[1] = "--processes";
        command[2] = "2";
        System.arraycopy(options, 0, command, 3, options.length);
        command[command.length - 1] = tests.getName();
        return JavaProcess.run(List.of(), command);
    }

    @Test
    void everyInvocationIsRunOnce() {
        JavaProcess process = run(Planted.class);
        assertThat(process.output())
                .containsOnlyOnce("FAILED ParallelTestsTest$Planted#areNotThirteen [13] number=13: ")
                .contains("of the JVMs ran on " + TestDevice.get())
                .contains("\n17 passed, 1 failed, 1 skipped\n");
        assertThat(process.exitCode()).isEqualTo(1);
    }

    @Test
    void aJvmThatDiesIsReplaced() {
        JavaProcess process = run(Dying.class);
        assertThat(process.output())
                .contains("endsItsJvm(): its JVM ended")
                .contains("\n1 passed, 1 failed, 0 skipped\n");
        assertThat(process.exitCode()).isEqualTo(1);
    }

    @Test
    void aTestThatHangsIsNamed() {
        JavaProcess process = run(Hanging.class, "--patience", "5");
        assertThat(process.output())
                .contains("hangs(): no end after 5 seconds")
                .contains("\n0 passed, 1 failed, 0 skipped\n");
        assertThat(process.exitCode()).isEqualTo(1);
    }
}
