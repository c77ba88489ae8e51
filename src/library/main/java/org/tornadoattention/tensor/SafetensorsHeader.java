package org.tornadoattention.tensor;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.IOException;
import java.io.Reader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The header of a safetensors file, read as a stream and checked in full before anything is allocated for a tensor.
 *
 * <p>A file is an 8-byte little-endian header length, a JSON header that begins with <code>{</code>, and the tensors'
 * bytes, which the header's ranges must cover without overlaps, holes or a rest.
 *
 * @param metadata the strings under {@code __metadata__}, in the file's order
 * @param entries the tensors by name, in the header's order
 * @param dataStart where in the file the tensors' bytes begin
 */
record SafetensorsHeader(Map<String, String> metadata, Map<String, SafetensorsEntry> entries, long dataStart) {
    /** The longest header that the format's reference implementation accepts. */
    static final long MAX_LENGTH = 100_000_000;

    static final String METADATA = "__metadata__";
    private static final int LENGTH_BYTES = 8;
    private static final int MAX_RANK = 64;

    private static final JsonFactory JSON = JsonFactory.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            // Names come from files: neither keep them for the life of the process nor trust their hashes.
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .streamReadConstraints(StreamReadConstraints.builder()
                    .maxNestingDepth(16)
                    .maxNumberLength(32)
                    .maxNameLength(10_000)
                    .maxStringLength((int) MAX_LENGTH)
                    .maxDocumentLength(MAX_LENGTH)
                    .build())
            .build();

    /** Reads and checks the header of an open file. */
    static SafetensorsHeader read(Path file, FileChannel channel) throws IOException {
        long fileSize = channel.size();
        if (fileSize < LENGTH_BYTES) {
            throw new SafetensorsException(
                    file, "the file has %d bytes, but the header's length alone takes 8".formatted(fileSize));
        }
        long length = readLength(file, channel);
        if (length < 0 || length > MAX_LENGTH) {
            throw new SafetensorsException(
                    file,
                    "the header's length is %s bytes, but at most %,d are allowed: is this a safetensors file?"
                            .formatted(Long.toUnsignedString(length), MAX_LENGTH));
        }
        if (length > fileSize - LENGTH_BYTES) {
            throw new SafetensorsException(
                    file,
                    "the header's length is %d bytes, but only %d follow: the file is truncated"
                            .formatted(length, fileSize - LENGTH_BYTES));
        }
        long dataStart = LENGTH_BYTES + length;
        SafetensorsHeader header = new Parsing(file).parse(new BoundedChannel(channel, length), dataStart);
        header.checkCoverage(file, fileSize - dataStart);
        return header;
    }

    private static long readLength(Path file, FileChannel channel) throws IOException {
        ByteBuffer bytes = ByteBuffer.allocate(LENGTH_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        channel.position(0);
        while (bytes.hasRemaining()) {
            if (channel.read(bytes) < 0) {
                throw new SafetensorsException(file, "the file became shorter while it was read");
            }
        }
        return bytes.flip().getLong();
    }

    private void checkCoverage(Path file, long dataSize) throws SafetensorsException {
        List<SafetensorsEntry> inFileOrder = new ArrayList<>(entries.values());
        inFileOrder.sort(
                Comparator.comparingLong(SafetensorsEntry::byteOffset).thenComparingLong(SafetensorsEntry::byteSize));
        long covered = 0;
        for (SafetensorsEntry entry : inFileOrder) {
            long end = entry.byteOffset() + entry.byteSize();
            if (end > dataSize) {
                throw new SafetensorsException(
                        file,
                        entry.name(),
                        "its bytes [%d, %d) reach past the end of the file's %d bytes of data: the file is truncated or the offsets are wrong"
                                .formatted(entry.byteOffset(), end, dataSize));
            }
            if (entry.byteOffset() != covered) {
                throw new SafetensorsException(
                        file,
                        entry.name(),
                        "its bytes begin at %d, but the tensors before it end at %d: %s"
                                .formatted(
                                        entry.byteOffset(),
                                        covered,
                                        entry.byteOffset() < covered ? "they overlap" : "there is a hole"));
            }
            covered = end;
        }
        if (covered != dataSize) {
            throw new SafetensorsException(
                    file, "%d bytes follow the last tensor and belong to none".formatted(dataSize - covered));
        }
    }

    /** One walk through the JSON text. */
    private static final class Parsing {
        private final Path file;
        private final Map<String, String> metadata = new LinkedHashMap<>();
        private final Map<String, SafetensorsEntry> entries = new LinkedHashMap<>();

        Parsing(Path file) {
            this.file = file;
        }

        SafetensorsHeader parse(ReadableByteChannel bytes, long dataStart) throws IOException {
            // The decoder reports malformed UTF-8 instead of replacing it, and Jackson gets no say in the encoding.
            Reader text = Channels.newReader(bytes, StandardCharsets.UTF_8.newDecoder(), -1);
            try (JsonParser json = JSON.createParser(text)) {
                parseRoot(json);
            } catch (JsonProcessingException fault) {
                throw new SafetensorsException(
                        file, "the header is not valid JSON: " + fault.getOriginalMessage(), fault);
            } catch (CharacterCodingException fault) {
                throw new SafetensorsException(file, "the header is not valid UTF-8", fault);
            }
            return new SafetensorsHeader(
                    Collections.unmodifiableMap(metadata), Collections.unmodifiableMap(entries), dataStart);
        }

        private void parseRoot(JsonParser json) throws IOException {
            if (json.nextToken() != JsonToken.START_OBJECT
                    || json.currentTokenLocation().getCharOffset() != 0) {
                throw new SafetensorsException(file, "the header does not begin with '{': is this a safetensors file?");
            }
            for (String name = json.nextFieldName(); name != null; name = json.nextFieldName()) {
                json.nextToken();
                if (name.equals(METADATA)) {
                    parseMetadata(json);
                } else {
                    entries.put(name, parseEntry(json, name));
                }
            }
            if (json.nextToken() != null) {
                throw new SafetensorsException(file, "the header has text after its closing '}'");
            }
        }

        /** Writers without metadata leave it out or give null. */
        private void parseMetadata(JsonParser json) throws IOException {
            if (json.currentToken() == JsonToken.VALUE_NULL) {
                return;
            }
            if (!json.isExpectedStartObjectToken()) {
                throw new SafetensorsException(file, METADATA + " must be an object of strings, or null");
            }
            for (String key = json.nextFieldName(); key != null; key = json.nextFieldName()) {
                if (json.nextToken() != JsonToken.VALUE_STRING) {
                    throw new SafetensorsException(
                            file,
                            "%s: the value of %s is not a string"
                                    .formatted(METADATA, SafetensorsException.quoted(key)));
                }
                metadata.put(key, json.getText());
            }
        }

        private SafetensorsEntry parseEntry(JsonParser json, String name) throws IOException {
            if (!json.isExpectedStartObjectToken()) {
                throw new SafetensorsException(file, name, "it must be an object with dtype, shape and data_offsets");
            }
            String type = null;
            List<Long> shape = null;
            List<Long> offsets = null;
            for (String key = json.nextFieldName(); key != null; key = json.nextFieldName()) {
                json.nextToken();
                switch (key) {
                    case "dtype" -> type = parseType(json, name);
                    case "shape" -> shape = parseNumbers(json, name, key, MAX_RANK);
                    case "data_offsets" -> offsets = parseNumbers(json, name, key, 2);
                    default -> json.skipChildren();
                }
            }
            if (type == null || shape == null || offsets == null) {
                String missing = type == null ? "dtype" : shape == null ? "shape" : "data_offsets";
                throw new SafetensorsException(file, name, "%s is missing".formatted(missing));
            }
            if (offsets.size() != 2 || offsets.get(0) > offsets.get(1)) {
                throw new SafetensorsException(
                        file,
                        name,
                        "data_offsets are %s: they must be a begin and an end that is not before it"
                                .formatted(offsets));
            }
            long byteSize = offsets.get(1) - offsets.get(0);
            SafetensorsEntry entry = new SafetensorsEntry(name, type, shape, offsets.get(0), byteSize);
            long required = entry.requiredBytes()
                    .orElseThrow(() -> new SafetensorsException(
                            file,
                            name,
                            "shape %s of type %s does not take a whole number of bytes below 2^60"
                                    .formatted(entry.shape(), SafetensorsException.quoted(entry.type()))));
            if (required != byteSize) {
                throw new SafetensorsException(
                        file,
                        name,
                        "shape %s of type %s takes %d bytes, but data_offsets %s hold %d"
                                .formatted(shape, SafetensorsException.quoted(type), required, offsets, byteSize));
            }
            return entry;
        }

        private String parseType(JsonParser json, String name) throws IOException {
            if (json.currentToken() != JsonToken.VALUE_STRING) {
                throw new SafetensorsException(file, name, "dtype must be a string");
            }
            return json.getText();
        }

        private List<Long> parseNumbers(JsonParser json, String name, String key, int atMost) throws IOException {
            if (!json.isExpectedStartArrayToken()) {
                throw new SafetensorsException(file, name, key + " must be an array of numbers");
            }
            List<Long> numbers = new ArrayList<>();
            while (json.nextToken() != JsonToken.END_ARRAY) {
                boolean fits = json.currentToken() == JsonToken.VALUE_NUMBER_INT
                        && json.getNumberType() != JsonParser.NumberType.BIG_INTEGER
                        && json.getLongValue() >= 0;
                if (!fits) {
                    String given = json.getText();
                    throw new SafetensorsException(
                            file,
                            name,
                            "%s holds %s: it must hold whole numbers from 0 to 2^63 - 1"
                                    .formatted(key, SafetensorsException.quoted(given == null ? "nothing" : given)));
                }
                if (numbers.size() == atMost) {
                    throw new SafetensorsException(file, name, "%s holds more than %d numbers".formatted(key, atMost));
                }
                numbers.add(json.getLongValue());
            }
            return numbers;
        }
    }

    /** The next {@code remaining} bytes of a channel. */
    private static final class BoundedChannel implements ReadableByteChannel {
        private final FileChannel channel;
        private long remaining;

        BoundedChannel(FileChannel channel, long remaining) {
            this.channel = channel;
            this.remaining = remaining;
        }

        @Override
        public int read(ByteBuffer target) throws IOException {
            if (remaining == 0) {
                return -1;
            }
            int limit = target.limit();
            target.limit((int) Math.min(limit, target.position() + remaining));
            int count = channel.read(target);
            target.limit(limit);
            remaining -= Math.max(count, 0);
            return count;
        }

        @Override
        public boolean isOpen() {
            return channel.isOpen();
        }

        @Override
        public void close() {
            // The file stays open for its tensors.
        }
    }
}
