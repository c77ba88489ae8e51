package org.tornadoattention.bench;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import org.tornadoattention.file.InputFile;
import org.tornadoattention.file.UnusableFileException;

/** Reads results as JSON, of which each kind names its format in a field {@code format}. */
final class JsonFile {

    private static final int SHOWN = 20;

    private JsonFile() {}

    /**
     * A file as a record.
     *
     * @param format what its field {@code format} must say
     * @param maker the command that writes such files
     * @throws UnusableFileException if it is no such file: the message says what it is
     */
    static <T> T read(Path path, String format, String maker, Class<T> type) throws IOException {
        String needed = "a file that '%s' writes is needed".formatted(maker);
        String text = InputFile.text(path);
        try {
            JsonNode json = BenchFile.JSON.readTree(text);
            if (!json.isObject()) {
                throw new UnusableFileException(path, "this is no JSON object: " + needed);
            }
            if (!format.equals(json.path("format").asText())) {
                throw new UnusableFileException(
                        path,
                        json.has("format")
                                ? "this is of the format '%s', and '%s', %s"
                                        .formatted(json.path("format").asText(), format, needed)
                                : "this JSON does not say its format: " + needed);
            }
            return BenchFile.JSON.treeToValue(json, type);
        } catch (JsonProcessingException fault) {
            throw new UnusableFileException(
                    path,
                    "this is no JSON of results (%s); it begins with '%s': %s"
                            .formatted(fault.getOriginalMessage(), beginning(text), needed),
                    fault);
        }
    }

    private static String beginning(String text) {
        String shown = text.strip().replaceAll("\\p{Cntrl}+", " ");
        return shown.length() <= SHOWN ? shown : shown.substring(0, SHOWN) + "…";
    }
}
