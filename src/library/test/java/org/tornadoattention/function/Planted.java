package org.tornadoattention.function;

import java.util.function.Supplier;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.Mask;

/**
 * Functions whose class file is altered before kernels are made of it: a compiler's fault, as far as anyone can see.
 */
public final class Planted implements Supplier<AttentionOptions[]> {

    @Override
    public AttentionOptions[] get() {
        return new AttentionOptions[] {
            AttentionOptions.defaults().withScore((s, b, h, i, j) -> j == 2 ? s + 7.5f : s),
            AttentionOptions.defaults().withMask(Mask.of((b, h, i, j) -> j + 7.5f > i))
        };
    }
}
