package org.tornadoattention.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import uk.ac.manchester.tornado.api.enums.TornadoVMBackendType;

class BackendTest {

    /** As TornadoVM 5.2 translates them; on the others, calls compile to stubs that compute garbage. */
    @ParameterizedTest
    @CsvSource({
        "CUDA, CUDA, true, true, true",
        "OPENCL, OPENCL, false, false, false",
        "PTX, PTX, true, true, false",
        "METAL, METAL, true, false, false",
        "SPIRV, SPIRV, false, false, false",
        "JAVA, SIMULATOR, true, true, false"
    })
    void whatTornadoVmTranslates(
            TornadoVMBackendType type, Backend backend, boolean collectives, boolean matrices, boolean bfloat16) {
        assertThat(Backend.of(type)).contains(backend);
        assertThat(backend.hasWarpCollectives()).isEqualTo(collectives);
        assertThat(backend.hasMatrixInstructions()).isEqualTo(matrices);
        assertThat(backend.hasBFloat16()).isEqualTo(bfloat16);
    }

    @Test
    void whatCompilesNothingIsNoBackend() {
        assertThat(Backend.of(TornadoVMBackendType.VIRTUAL)).isEmpty();
    }

    @ParameterizedTest
    @EnumSource
    void namesAreThoseOfTheCommandLine(Backend backend) {
        assertThat(Backend.parse(backend.id())).isEqualTo(backend);
        assertThat(Backend.parse(backend.name())).isEqualTo(backend);
    }

    @Test
    void anUnknownNameIsAnsweredWithTheKnownOnes() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> Backend.parse("vulkan"))
                .withMessageContainingAll("'vulkan'", "cuda, opencl, ptx, metal, spirv, jvm, simulator");
    }
}
