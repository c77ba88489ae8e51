package org.tornadoattention.cli;

import java.io.IOException;
import java.util.Locale;
import org.tornadoattention.AttentionOptions;
import org.tornadoattention.AttentionResult;
import org.tornadoattention.AttentionShape;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.file.ResultFile;
import org.tornadoattention.tensor.SafetensorsWriter;

/**
 * A result as a safetensors file: {@code o} and {@code lse}, and as metadata what was computed, in the words of the
 * golden cases, and by what.
 */
final class ResultTensors {

    private ResultTensors() {}

    static void write(
            ResultFile file,
            AttentionShape shape,
            AttentionOptions options,
            AttentionResult result,
            ComputeDevice device)
            throws IOException {
        SafetensorsWriter writer = new SafetensorsWriter()
                .tensor("o", result.output())
                .tensor("lse", result.logSumExp())
                .metadata("dtype", result.output().dtype().name().toLowerCase(Locale.ROOT))
                .metadata("batch", String.valueOf(shape.batch()))
                .metadata("heads", String.valueOf(shape.heads()))
                .metadata("kv_heads", String.valueOf(shape.kvHeads()))
                .metadata("seq_q", String.valueOf(shape.seqQ()))
                .metadata("seq_k", String.valueOf(shape.seqK()))
                .metadata("head_dim", String.valueOf(shape.headDim()))
                .metadata("layout", "batch,heads,seq,dim")
                .metadata("causal", options.mask().isCausal() ? "True" : "False")
                .metadata("causal_alignment", "bottom-right")
                .metadata("window_left", String.valueOf(options.mask().left()))
                .metadata("window_right", String.valueOf(options.mask().right()))
                .metadata("scale", String.valueOf(options.scaleFor(shape.headDim())))
                .metadata("softcap", String.valueOf(options.softcap()))
                .metadata("alibi", options.hasAlibi() ? "True" : "False")
                .metadata("key_lengths", options.hasKeyLengths() ? "True" : "False")
                .metadata("made_by", "tornado-attention " + Version.current())
                .metadata("device", device.toString());
        if (options.mask().condition().isPresent()) {
            writer.metadata("mask", options.mask().toString());
        }
        options.score().ifPresent(_ -> writer.metadata("score", "a function"));
        options.bias().ifPresent(bias -> writer.metadata("bias", bias.toString()));
        options.sinks().ifPresent(sinks -> writer.metadata("sinks", sinks.toString()));
        result.execution().ifPresent(execution -> {
            writer.metadata("kernel", execution.kernel());
            execution.tile().ifPresent(tile -> writer.metadata("tile", tile));
        });
        file.write(writer::writeTo);
    }
}
