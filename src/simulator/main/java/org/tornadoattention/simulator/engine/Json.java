package org.tornadoattention.simulator.engine;

import java.util.Locale;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/** Writes JSON, value by value. */
final class Json {

    private final StringBuilder text = new StringBuilder();
    private boolean first = true;

    /** Writes an object, whose fields {@code fields} writes. */
    Json object(Consumer<Json> fields) {
        return nested('{', '}', fields);
    }

    /** Writes an array of so many elements. */
    Json array(int size, IntConsumer element) {
        return nested('[', ']', _ -> {
            for (int i = 0; i < size; i++) {
                element.accept(i);
            }
        });
    }

    private Json nested(char open, char close, Consumer<Json> inside) {
        comma();
        text.append(open);
        first = true;
        inside.accept(this);
        text.append(close);
        first = false;
        return this;
    }

    /** Writes the name of the field whose value comes next. */
    Json name(String name) {
        value(name);
        text.append(':');
        first = true;
        return this;
    }

    Json value(String string) {
        comma();
        text.append('"');
        for (int i = 0; i < string.length(); i++) {
            char c = string.charAt(i);
            if (c == '"' || c == '\\') {
                text.append('\\').append(c);
            } else if (c < ' ' || c == '\u2028' || c == '\u2029') {
                text.append(String.format("\\u%04x", (int) c));
            } else {
                text.append(c);
            }
        }
        text.append('"');
        return this;
    }

    Json value(long number) {
        comma();
        text.append(number);
        return this;
    }

    /** Writes a number as short as four digits tell it; what is none becomes null. */
    Json value(float number) {
        comma();
        if (!Float.isFinite(number)) {
            text.append("null");
        } else if (number == Math.rint(number) && Math.abs(number) < 1e6f) {
            text.append((int) number);
        } else {
            text.append(Float.parseFloat(String.format(Locale.ROOT, "%.4g", number)));
        }
        return this;
    }

    private void comma() {
        if (!first) {
            text.append(',');
        }
        first = false;
    }

    @Override
    public String toString() {
        return text.toString();
    }
}
