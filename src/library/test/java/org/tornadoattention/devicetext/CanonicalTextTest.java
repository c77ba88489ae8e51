package org.tornadoattention.devicetext;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CanonicalTextTest {

    private static final String KERNEL = """
            __kernel void attention(__global uchar *query, __global uchar *output)
            {
              int i_1, i_2, i_3;
              float f_4;
              ulong ul_5;

              // BLOCK 0
              ul_5  =  (ulong) query;
              i_1  =  get_global_id(0);
              i_2  =  i_1 * 4;
              i_3  =  i_2 + i_1;
              f_4  =  *((__global float *) ul_5);
              output[i_3]  =  f_4;
            }  // kernel
            """;

    private static final String PTX = """
            .visible .entry g_t_attention_arrays_floatarray_4(.param .u64 .ptr .global .align 8 query, .param .align 8 .u64 heads) {
            \t.reg .s32 rsi<9>;

            BLOCK_0:
            \tld.param.u64\trud0, [query];
            \tmov.s32\trsi0, %tid.x;
            \tadd.s32\trsi1, rsi0, 4;
            \tld.global.f32\trfi0, [rud0];
            \tst.global.f32\t[rud0], rfi0;
            \t@!rpb0 bra\tBLOCK_0;
            }
            """;

    @Test
    void namesOfTemporariesAndParametersDoNotCount() {
        assertThat(digest(KERNEL.replace("i_3", "i_77").replace("query", "q").replace("f_4", "f_9")))
                .isEqualTo(digest(KERNEL));
        assertThat(digest(PTX.replace("rsi0", "rsi8").replace("query", "q").replace("BLOCK_0", "BLOCK_5")))
                .isEqualTo(digest(PTX));
    }

    @Test
    void theOrderOfFactorsAndOfWhatIsIndependentDoesNotCount() {
        assertThat(digest(KERNEL.replace("i_2 + i_1", "i_1 + i_2"))).isEqualTo(digest(KERNEL));
        assertThat(digest(PTX.replace("rsi0, 4", "4, rsi0"))).isEqualTo(digest(PTX));
        String load = "  f_4  =  *((__global float *) ul_5);\n";
        assertThat(digest(KERNEL.replace(load, "").replace("  i_1  =", load + "  i_1  =")))
                .isEqualTo(digest(KERNEL));
    }

    @Test
    void whatIsComputedLoadedStoredOrRepeatedCounts() {
        assertThat(digest(KERNEL.replace("i_1 * 4", "i_1 * 8"))).isNotEqualTo(digest(KERNEL));
        assertThat(digest(KERNEL.replace("(ulong) query", "(ulong) output"))).isNotEqualTo(digest(KERNEL));
        assertThat(digest(KERNEL.replace("output[i_3]  =  f_4;", "output[i_3]  =  f_4;\n  output[i_2]  =  f_4;")))
                .isNotEqualTo(digest(KERNEL));
        assertThat(digest(KERNEL.replace("i_2 + i_1", "i_2 - i_1"))).isNotEqualTo(digest(KERNEL));
        assertThat(digest(PTX.replace("st.global.f32\t[rud0]", "st.global.f32\t[rud0+4]")))
                .isNotEqualTo(digest(PTX));
        assertThat(digest(PTX.replace("ld.global.f32", "ld.global.f16"))).isNotEqualTo(digest(PTX));
        assertThat(digest(PTX.replace("@!rpb0", "@rpb0"))).isNotEqualTo(digest(PTX));
    }

    @Test
    void theSummaryCountsKinds() {
        assertThat(CanonicalText.of(KERNEL).summary()).contains("loads=1", "stores=1");
        assertThat(CanonicalText.of(PTX).summary()).contains("loads=1", "stores=1", "branches=2");
    }

    private static String digest(String text) {
        return CanonicalText.of(text).digest();
    }
}
