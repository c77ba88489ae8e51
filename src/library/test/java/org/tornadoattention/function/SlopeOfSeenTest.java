package org.tornadoattention.function;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.classfile.ClassFile;
import java.lang.classfile.instruction.InvokeInstruction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Mask;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;

/**
 * Where it is known that nothing hides a key, the derivative does not ask the mask again: it costs a tenth of a pass.
 */
class SlopeOfSeenTest {

    @ParameterizedTest
    @CsvSource({"slope, true", "slopeOfSeen, false"})
    void asksTheMaskOnlyWhereKeysMayBeHidden(String method, boolean asks) {
        FloatArray slopes = FloatArray.fromElements(0.5f, 0.25f);
        AttentionOptions options = AttentionOptions.defaults()
                .withMask(Mask.of((b, h, i, j) -> j <= i))
                .withScore((s, b, h, i, j) -> s + slopes.get(h) * (j - i));
        byte[] functions = UserFunctions.of(options).form().classFile();
        boolean calls = ClassFile.of().parse(functions).methods().stream()
                .filter(found -> found.methodName().equalsString(method))
                .flatMap(found -> found.code().orElseThrow().elementStream())
                .anyMatch(element ->
                        element instanceof InvokeInstruction call && call.name().equalsString("sees"));
        assertThat(calls).isEqualTo(asks);
    }
}
