package uk.ac.manchester.tornado.api.types.vectors;

import java.nio.ShortBuffer;
import uk.ac.manchester.tornado.api.types.HalfFloat;

/** Two halves that travel together. */
public final class Half2 {

    /** This class, as vector types give it. */
    public static final Class<Half2> TYPE = Half2.class;

    private final short[] bits = new short[2];

    /** Creates a pair of zeros. */
    public Half2() {}

    /** Creates the pair (x, y). */
    public Half2(HalfFloat x, HalfFloat y) {
        setX(x);
        setY(y);
    }

    /** Returns {@code a + b}, lane by lane. */
    public static Half2 add(Half2 a, Half2 b) {
        return new Half2(HalfFloat.add(a.getX(), b.getX()), HalfFloat.add(a.getY(), b.getY()));
    }

    /** Returns {@code a + b} with the same b in both lanes. */
    public static Half2 add(Half2 a, HalfFloat b) {
        return add(a, new Half2(b, b));
    }

    /** Returns {@code a - b}, lane by lane. */
    public static Half2 sub(Half2 a, Half2 b) {
        return new Half2(HalfFloat.sub(a.getX(), b.getX()), HalfFloat.sub(a.getY(), b.getY()));
    }

    /** Returns {@code a - b} with the same b in both lanes. */
    public static Half2 sub(Half2 a, HalfFloat b) {
        return sub(a, new Half2(b, b));
    }

    /** Returns {@code a / b}, lane by lane. */
    public static Half2 div(Half2 a, Half2 b) {
        return new Half2(HalfFloat.div(a.getX(), b.getX()), HalfFloat.div(a.getY(), b.getY()));
    }

    /** Returns {@code a / b} with the same b in both lanes. */
    public static Half2 div(Half2 a, HalfFloat b) {
        return div(a, new Half2(b, b));
    }

    /** Returns {@code a * b}, lane by lane. */
    public static Half2 mult(Half2 a, Half2 b) {
        return new Half2(HalfFloat.mult(a.getX(), b.getX()), HalfFloat.mult(a.getY(), b.getY()));
    }

    /** Returns {@code a * b} with the same b in both lanes. */
    public static Half2 mult(Half2 a, HalfFloat b) {
        return mult(a, new Half2(b, b));
    }

    /** Stores {@code a + b} in c. */
    public static void add(Half2 a, Half2 b, Half2 c) {
        c.set(add(a, b));
    }

    /** Stores {@code a - b} in c. */
    public static void sub(Half2 a, Half2 b, Half2 c) {
        c.set(sub(a, b));
    }

    /** Stores {@code a * b} in c. */
    public static void mult(Half2 a, Half2 b, Half2 c) {
        c.set(mult(a, b));
    }

    /** Returns {@code a * b + c}, rounded after each step. */
    public static Half2 fma(Half2 a, Half2 b, Half2 c) {
        return add(mult(a, b), c);
    }

    /** Returns the first lane as a float. */
    public static float lowFloat(Half2 a) {
        return a.getX().getFloat32();
    }

    /** Returns the second lane as a float. */
    public static float highFloat(Half2 a) {
        return a.getY().getFloat32();
    }

    /** Rounds two floats to a pair of halves. */
    public static Half2 fromFloats(float x, float y) {
        return new Half2(new HalfFloat(x), new HalfFloat(y));
    }

    /** Returns the sum of the lanes' products. */
    public static HalfFloat dot(Half2 a, Half2 b) {
        Half2 products = mult(a, b);
        return HalfFloat.add(products.getX(), products.getY());
    }

    /** Returns lane 0 or 1. */
    public HalfFloat get(int index) {
        return new HalfFloat(bits[index]);
    }

    /** Sets lane 0 or 1. */
    public void set(int index, HalfFloat value) {
        bits[index] = value.getHalfFloatValue();
    }

    /** Copies both lanes of {@code value}. */
    public void set(Half2 value) {
        bits[0] = value.bits[0];
        bits[1] = value.bits[1];
    }

    /** Returns the first lane. */
    public HalfFloat getX() {
        return get(0);
    }

    /** Sets the first lane. */
    public void setX(HalfFloat value) {
        set(0, value);
    }

    /** Returns the second lane. */
    public HalfFloat getY() {
        return get(1);
    }

    /** Sets the second lane. */
    public void setY(HalfFloat value) {
        set(1, value);
    }

    /** Returns a copy. */
    public Half2 duplicate() {
        return new Half2(getX(), getY());
    }

    /** Formats both lanes, as floats, with {@code fmt}. */
    public String toString(String fmt) {
        return String.format(fmt, lowFloat(this), highFloat(this));
    }

    @Override
    public String toString() {
        return toString("<%s, %s>");
    }

    /** Sets both lanes from bit patterns. */
    public void loadFromBuffer(ShortBuffer buffer) {
        asBuffer().put(buffer);
    }

    /** Returns a view of the bit patterns. */
    public ShortBuffer asBuffer() {
        return ShortBuffer.wrap(bits);
    }

    /** Returns 2. */
    public int size() {
        return bits.length;
    }

    /** Returns the bit patterns, not a copy. */
    public short[] toArray() {
        return bits;
    }

    /** Returns the bit patterns, not a copy. */
    public short[] getArray() {
        return bits;
    }

    /** Returns 4. */
    public long getNumBytes() {
        return 2L * Short.BYTES;
    }
}
