package org.tornadoattention.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import org.junit.jupiter.api.Test;

class TextTest {

    @Test
    void columnsAreAsWideAsTheirWidestCell() {
        StringWriter text = new StringWriter();
        new Table("> ").row("a", "bcd", "e").row("four", "f").print(new PrintWriter(text));
        assertThat(text.toString().lines()).containsExactly("> a     bcd  e", "> four  f");
    }

    @Test
    void quantitiesHaveThreeDigitsAndAUnit() {
        assertThat(Units.bytes(1023)).isEqualTo("1023 bytes");
        assertThat(Units.bytes(1536)).isEqualTo("1.50 KiB");
        assertThat(Units.bytes(256L << 20)).isEqualTo("256 MiB");
        assertThat(Units.time(Duration.ofNanos(12_300))).isEqualTo("12.3 µs");
        assertThat(Units.time(Duration.ofMillis(2_345))).isEqualTo("2.35 s");
        assertThat(Units.rate(4.56e9, Duration.ofSeconds(1))).isEqualTo("4.56 GFLOP/s");
    }
}
