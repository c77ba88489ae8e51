package org.tornadoattention.simulator.engine;

import uk.ac.manchester.tornado.api.enums.MMAShape;
import uk.ac.manchester.tornado.api.types.BFloat16;
import uk.ac.manchester.tornado.api.types.FP8;
import uk.ac.manchester.tornado.api.types.HalfFloat;

/**
 * The warp's matrix multiplication D = A · B + C with 16 rows, 8 columns and a depth of 16 or 32, after the fragment
 * layouts of PTX: a lane's elements come in registers of 32 bits, and lane 4g + t has
 *
 * <ul>
 *   <li>of A, in register r, row g + 8 (r mod 2), columns from t · n + 4n (r div 2) on, for n elements to a register;
 *   <li>of B, in register r, rows from t · n + 4n · r on of column g;
 *   <li>of C and D, in element i, row g + 8 (i div 2), column 2t + i mod 2.
 * </ul>
 */
enum TensorCore {
    HALF("mma", MMAShape.M16N8K16),
    BFLOAT16("mmaBF16", MMAShape.M16N8K16),
    E4M3("mmaFP8E4M3", MMAShape.M16N8K32),
    E5M2("mmaFP8E5M2", MMAShape.M16N8K32),
    INT8("mmaInt8", MMAShape.M16N8K32);

    static final int ROWS = 16;
    static final int COLUMNS = 8;
    static final int ACCUMULATORS = 4;
    static final int A_REGISTERS = 4;
    static final int B_REGISTERS = 2;

    private final String label;
    private final MMAShape shape;
    private final int perRegister;

    TensorCore(String label, MMAShape shape) {
        this.label = label;
        this.shape = shape;
        this.perRegister = shape == MMAShape.M16N8K16 ? 2 : 4;
    }

    String label() {
        return label;
    }

    MMAShape shape() {
        return shape;
    }

    int depth() {
        return 8 * perRegister;
    }

    int elementsOfA() {
        return A_REGISTERS * perRegister;
    }

    int elementsOfB() {
        return B_REGISTERS * perRegister;
    }

    static int row(int lane, int accumulator) {
        return lane / 4 + 8 * (accumulator / 2);
    }

    static int column(int lane, int accumulator) {
        return 2 * (lane % 4) + accumulator % 2;
    }

    /** Where a register of a lane's part of A begins among the rows of A, one after the other. */
    static int placeInA(int lane, int register, int depth) {
        return (lane / 4 + ROWS / 2 * (register % 2)) * depth + depth / 8 * (lane % 4 + 4 * (register / 2));
    }

    /** Where a register of a lane's part of B begins among the columns of B, one after the other. */
    static int placeInB(int lane, int register, int depth) {
        return lane / 4 * depth + depth / 8 * (lane % 4 + 4 * register);
    }

    /** Multiplies the tiles that 32 lanes hold together. */
    void multiply(TensorTiles... lanes) {
        int depth = depth();
        float[] a = new float[ROWS * depth];
        float[] b = new float[COLUMNS * depth];
        for (int lane = 0; lane < lanes.length; lane++) {
            int g = lane / 4;
            int t = lane % 4;
            for (int e = 0; e < elementsOfA(); e++) {
                int register = e / perRegister;
                int row = g + 8 * (register % 2);
                int k = t * perRegister + e % perRegister + 4 * perRegister * (register / 2);
                a[row * depth + k] = decode(lanes[lane].a(), e);
            }
            for (int e = 0; e < elementsOfB(); e++) {
                int k = t * perRegister + e % perRegister + 4 * perRegister * (e / perRegister);
                b[g * depth + k] = decode(lanes[lane].b(), e);
            }
        }
        for (int lane = 0; lane < lanes.length; lane++) {
            lanes[lane].d(accumulate(lanes[lane].c(), lane, a, b, depth));
        }
    }

    private Object accumulate(Object c, int lane, float[] a, float[] b, int depth) {
        if (this == INT8) {
            int[] d = new int[ACCUMULATORS];
            for (int i = 0; i < ACCUMULATORS; i++) {
                int sum = ((int[]) c)[i];
                for (int k = 0; k < depth; k++) {
                    sum += (int) a[row(lane, i) * depth + k] * (int) b[column(lane, i) * depth + k];
                }
                d[i] = sum;
            }
            return d;
        }
        float[] d = new float[ACCUMULATORS];
        for (int i = 0; i < ACCUMULATORS; i++) {
            float sum = ((float[]) c)[i];
            for (int k = 0; k < depth; k++) {
                sum += a[row(lane, i) * depth + k] * b[column(lane, i) * depth + k];
            }
            d[i] = sum;
        }
        return d;
    }

    private float decode(Object fragment, int element) {
        return switch (this) {
            case HALF -> ((HalfFloat[]) fragment)[element].getFloat32();
            case BFLOAT16 -> BFloat16.bf16ToFloat(((HalfFloat[]) fragment)[element].getHalfFloatValue());
            case E4M3 -> FP8.e4m3ToFloat(((byte[]) fragment)[element]);
            case E5M2 -> FP8.e5m2ToFloat(((byte[]) fragment)[element]);
            case INT8 -> ((byte[]) fragment)[element];
        };
    }
}
