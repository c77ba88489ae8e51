package uk.ac.manchester.tornado.api.types.matrix;

/** An 8×8 matrix of floats, row by row: the fragment of the SIMD-group matrix operations. */
public final class Matrix8x8Float {

    /** This class, as matrix types give it. */
    public static final Class<Matrix8x8Float> TYPE = Matrix8x8Float.class;

    /** The 64 elements, row by row. */
    public final float[] values = new float[64];

    /** Creates a matrix of zeros. */
    public Matrix8x8Float() {}

    /** Returns the element at row i, column j. */
    public float get(int i, int j) {
        return values[8 * i + j];
    }

    /** Sets the element at row i, column j. */
    public void set(int i, int j, float value) {
        values[8 * i + j] = value;
    }
}
