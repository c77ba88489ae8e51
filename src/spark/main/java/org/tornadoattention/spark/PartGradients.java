package org.tornadoattention.spark;

import java.io.Serial;
import java.io.Serializable;
import org.tornadoattention.AttentionPart;

/** The gradients that come of the keys of a part. */
final class PartGradients implements Serializable {

    @Serial
    private static final long serialVersionUID = 1;

    final AttentionPart part;
    final TensorBytes dQ;
    final KeyValues keyValues;

    PartGradients(AttentionPart part, TensorBytes dQ, KeyValues keyValues) {
        this.part = part;
        this.dQ = dQ;
        this.keyValues = keyValues;
    }
}
