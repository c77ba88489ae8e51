package org.tornadoattention.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Objects;
import java.util.UUID;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.Function;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.TaskCompletionListener;
import org.tornadoattention.device.ComputeDevice;
import org.tornadoattention.embeddings.TextEncoder;

/**
 * The vectors of a corpus: each task encodes a partition on its device.
 *
 * <pre>{@code
 * CorpusEmbedding.of(device -> TextEncoder.builder().model(file).tokenizer(json).device(device).build(), TaskDevice.jvm())
 *         .embed(spark.read().parquet("texts"), "text", "vector")
 *         .write().parquet("vectors");
 * }</pre>
 *
 * <p>An executor opens an encoder for each task that it runs at the same time, and keeps it for later tasks of this
 * embedding, until it ends or gets a task of another one.
 */
public final class CorpusEmbedding {

    private static final int TEXTS_TOGETHER = 256;

    private final String name;
    private final Function<ComputeDevice, TextEncoder> encoder;
    private final TaskDevice device;
    private final int textsTogether;

    private CorpusEmbedding(
            String name, Function<ComputeDevice, TextEncoder> encoder, TaskDevice device, int textsTogether) {
        this.name = name;
        this.encoder = encoder;
        this.device = device;
        this.textsTogether = textsTogether;
    }

    /**
     * Embedding by an encoder.
     *
     * @param encoder opens it on an executor; what it reads must be there
     * @param device where attention is computed
     * @return embedding of 256 texts at a time
     */
    public static CorpusEmbedding of(Function<ComputeDevice, TextEncoder> encoder, TaskDevice device) {
        return new CorpusEmbedding(
                UUID.randomUUID().toString(),
                Objects.requireNonNull(encoder, "encoder"),
                Objects.requireNonNull(device, "device"),
                TEXTS_TOGETHER);
    }

    /**
     * Another number of texts that the encoder gets at a time.
     *
     * @param number 1 or more
     * @return embedding of as many
     * @throws IllegalArgumentException if it is not positive
     */
    public CorpusEmbedding withTextsTogether(int number) {
        if (number < 1) {
            throw new IllegalArgumentException("%d texts together: there must be 1 or more.".formatted(number));
        }
        return new CorpusEmbedding(name, encoder, device, number);
    }

    /**
     * Adds a column of vectors.
     *
     * @param texts rows of any columns
     * @param textColumn the name of the texts' column, of type string and without nulls
     * @param vectorColumn the name of the new column
     * @return the same rows in the same partitions, each with an array of floats; computed when it is asked for
     * @throws IllegalArgumentException if there is no such column, it is not of type string, or the new one is there
     *     already
     */
    public Dataset<Row> embed(Dataset<Row> texts, String textColumn, String vectorColumn) {
        StructType schema = texts.schema();
        List<String> names = Arrays.asList(schema.fieldNames());
        int column = names.indexOf(textColumn);
        if (column < 0 || !schema.fields()[column].dataType().equals(DataTypes.StringType)) {
            throw new IllegalArgumentException(
                    "The texts' column is '%s', and the rows have %s: it must be one of type string."
                            .formatted(textColumn, schema.simpleString()));
        }
        if (names.contains(vectorColumn)) {
            throw new IllegalArgumentException(
                    "The rows have a column '%s' already: choose another name.".formatted(vectorColumn));
        }
        StructType all = schema.add(vectorColumn, DataTypes.createArrayType(DataTypes.FloatType, false), false);
        String embedding = name;
        Function<ComputeDevice, TextEncoder> opener = encoder;
        TaskDevice where = device;
        int together = textsTogether;
        MapPartitionsFunction<Row, Row> body = rows -> rows.hasNext()
                ? new Encoded(rows, column, together, OpenEncoders.of(embedding, where.find(), opener))
                : rows;
        return texts.mapPartitions(body, Encoders.row(all));
    }

    /** The rows of a partition with their vectors. */
    private static final class Encoded implements Iterator<Row> {

        private final Iterator<Row> rows;
        private final int column;
        private final int together;
        private final TextEncoder encoder;
        private Iterator<Row> ready = List.<Row>of().iterator();

        Encoded(Iterator<Row> rows, int column, int together, OpenEncoders.Lease lease) {
            this.rows = rows;
            this.column = column;
            this.together = together;
            encoder = lease.encoder();
            TaskContext.get().addTaskCompletionListener((TaskCompletionListener) _ -> lease.close());
        }

        @Override
        public boolean hasNext() {
            return ready.hasNext() || rows.hasNext();
        }

        @Override
        public Row next() {
            if (!hasNext()) {
                throw new NoSuchElementException();
            }
            if (!ready.hasNext()) {
                ready = encoded().iterator();
            }
            return ready.next();
        }

        private List<Row> encoded() {
            List<Row> batch = new ArrayList<>();
            List<String> texts = new ArrayList<>();
            while (rows.hasNext() && batch.size() < together) {
                Row row = rows.next();
                if (row.isNullAt(column)) {
                    throw new IllegalArgumentException("A row has no text: %s; leave such rows out.".formatted(row));
                }
                batch.add(row);
                texts.add(row.getString(column));
            }
            float[][] vectors = encoder.encode(texts);
            List<Row> encoded = new ArrayList<>();
            for (int i = 0; i < vectors.length; i++) {
                Row row = batch.get(i);
                Object[] values = new Object[row.size() + 1];
                for (int c = 0; c < row.size(); c++) {
                    values[c] = row.get(c);
                }
                values[row.size()] = vectors[i];
                encoded.add(RowFactory.create(values));
            }
            return encoded;
        }
    }
}
