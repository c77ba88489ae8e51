package uk.ac.manchester.tornado.api.math;

import uk.ac.manchester.tornado.api.types.HalfFloat;
import uk.ac.manchester.tornado.api.types.arrays.DoubleArray;
import uk.ac.manchester.tornado.api.types.arrays.FloatArray;
import uk.ac.manchester.tornado.api.types.arrays.HalfFloatArray;
import uk.ac.manchester.tornado.api.types.arrays.IntArray;

/** Mathematics for kernels: each method becomes an instruction or a library call of the device. */
@SuppressWarnings("missing-explicit-ctor") // as in TornadoVM
public class TornadoMath {

    /** Returns the smaller of the two. */
    public static float min(float a, float b) {
        return Math.min(a, b);
    }

    /** Returns the smaller of the two. */
    public static double min(double a, double b) {
        return Math.min(a, b);
    }

    /** Returns the smaller of the two. */
    public static long min(long a, long b) {
        return Math.min(a, b);
    }

    /** Returns the smaller of the two. */
    public static int min(int a, int b) {
        return Math.min(a, b);
    }

    /** Returns the smaller of the two. */
    public static short min(short a, short b) {
        return (short) Math.min(a, b);
    }

    /** Returns the smaller of the two. */
    public static byte min(byte a, byte b) {
        return (byte) Math.min(a, b);
    }

    /** Returns the smaller of the two by value. */
    public static HalfFloat min(HalfFloat a, HalfFloat b) {
        return a.getFloat32() < b.getFloat32() ? a : b;
    }

    /** Returns the larger of the two. */
    public static float max(float a, float b) {
        return Math.max(a, b);
    }

    /** Returns the larger of the two. */
    public static double max(double a, double b) {
        return Math.max(a, b);
    }

    /** Returns the larger of the two. */
    public static long max(long a, long b) {
        return Math.max(a, b);
    }

    /** Returns the larger of the two. */
    public static int max(int a, int b) {
        return Math.max(a, b);
    }

    /** Returns the larger of the two. */
    public static short max(short a, short b) {
        return (short) Math.max(a, b);
    }

    /** Returns the larger of the two. */
    public static byte max(byte a, byte b) {
        return (byte) Math.max(a, b);
    }

    /** Returns the larger of the two by value. */
    public static HalfFloat max(HalfFloat a, HalfFloat b) {
        return a.getFloat32() > b.getFloat32() ? a : b;
    }

    /** Returns the magnitude. */
    public static float abs(float a) {
        return Math.abs(a);
    }

    /** Returns the magnitude. */
    public static double abs(double a) {
        return Math.abs(a);
    }

    /** Returns the magnitude. */
    public static long abs(long a) {
        return Math.abs(a);
    }

    /** Returns the magnitude. */
    public static int abs(int a) {
        return Math.abs(a);
    }

    /** Returns the magnitude. */
    public static short abs(short a) {
        return (short) Math.abs(a);
    }

    /** Returns the magnitude. */
    public static byte abs(byte a) {
        return (byte) Math.abs(a);
    }

    /** Returns {@code val}, moved into [min, max]. */
    public static long clamp(long val, long min, long max) {
        return Math.max(min, Math.min(max, val));
    }

    /** Returns {@code val}, moved into [min, max]. */
    public static int clamp(int val, int min, int max) {
        return Math.max(min, Math.min(max, val));
    }

    /** Returns {@code val}, moved into [min, max]. */
    public static float clamp(float val, float min, float max) {
        return Math.max(min, Math.min(max, val));
    }

    /** Returns {@code val}, moved into [min, max]. */
    public static double clamp(double val, double min, double max) {
        return Math.max(min, Math.min(max, val));
    }

    /** Returns {@code val}, moved into [min, max]. */
    public static short clamp(short val, short min, short max) {
        return max(min, min(max, val));
    }

    /** Returns {@code val}, moved into [min, max]. */
    public static byte clamp(byte val, byte min, byte max) {
        return max(min, min(max, val));
    }

    /** Returns e to the power of {@code value}. */
    public static float exp(float value) {
        return (float) Math.exp(value);
    }

    /** Returns e to the power of {@code value}. */
    public static double exp(double value) {
        return Math.exp(value);
    }

    /** Returns the square root. */
    public static float sqrt(float value) {
        return (float) Math.sqrt(value);
    }

    /** Returns the square root. */
    public static double sqrt(double value) {
        return Math.sqrt(value);
    }

    /** Returns the largest whole number that is not above. */
    public static float floor(float f) {
        return (float) Math.floor(f);
    }

    /** Returns the largest whole number that is not above. */
    public static double floor(double f) {
        return Math.floor(f);
    }

    /** Returns the smallest whole number that is not below. */
    public static float ceil(float f) {
        return (float) Math.ceil(f);
    }

    /** Returns the smallest whole number that is not below. */
    public static double ceil(double f) {
        return Math.ceil(f);
    }

    /** Returns the natural logarithm. */
    public static float log(float value) {
        return (float) Math.log(value);
    }

    /** Returns the natural logarithm. */
    public static double log(double value) {
        return Math.log(value);
    }

    /** Returns the arc tangent. */
    public static float atan(float value) {
        return (float) Math.atan(value);
    }

    /** Returns the arc tangent. */
    public static double atan(double value) {
        return Math.atan(value);
    }

    /** Returns the tangent. */
    public static float tan(float value) {
        return (float) Math.tan(value);
    }

    /** Returns the tangent. */
    public static double tan(double value) {
        return Math.tan(value);
    }

    /** Returns the hyperbolic tangent. */
    public static float tanh(float value) {
        return (float) Math.tanh(value);
    }

    /** Returns the hyperbolic tangent. */
    public static double tanh(double value) {
        return Math.tanh(value);
    }

    /** Returns the arc cosine. */
    public static float acos(float a) {
        return (float) Math.acos(a);
    }

    /** Returns the arc cosine. */
    public static double acos(double a) {
        return Math.acos(a);
    }

    /** Returns the arc sine. */
    public static float asin(float a) {
        return (float) Math.asin(a);
    }

    /** Returns the arc sine. */
    public static double asin(double a) {
        return Math.asin(a);
    }

    /** Returns the cosine. */
    public static float cos(float angle) {
        return (float) Math.cos(angle);
    }

    /** Returns the cosine. */
    public static double cos(double angle) {
        return Math.cos(angle);
    }

    /** Returns the sine. */
    public static float sin(float angle) {
        return (float) Math.sin(angle);
    }

    /** Returns the sine. */
    public static double sin(double angle) {
        return Math.sin(angle);
    }

    /** Returns -1, 0 or 1. */
    public static float signum(float a) {
        return Math.signum(a);
    }

    /** Returns -1, 0 or 1. */
    public static double signum(double a) {
        return Math.signum(a);
    }

    /** Converts degrees to radians. */
    public static float toRadians(float angle) {
        return (float) Math.toRadians(angle);
    }

    /** Converts degrees to radians. */
    public static double toRadians(double angle) {
        return Math.toRadians(angle);
    }

    /** Returns the logarithm to base 2. */
    public static float log2(float value) {
        return log(value) / log(2.0f);
    }

    /** Returns what is left after {@link #floor}. */
    public static float fract(float f) {
        return f - floor(f);
    }

    /** Returns {@code a} to the power of {@code b}. */
    public static float pow(float a, float b) {
        return (float) Math.pow(a, b);
    }

    /** Returns the angle of the point (b, a). */
    public static float atan2(float a, float b) {
        return (float) Math.atan2(a, b);
    }

    /** Returns the inverse hyperbolic cosine. */
    public static float acosh(float x) {
        return (float) Math.log(x + Math.sqrt(x * x - 1));
    }

    /** Returns the inverse hyperbolic sine. */
    public static float asinh(float x) {
        return (float) Math.log(x + Math.sqrt(x * x + 1));
    }

    /** Returns the sine of π times {@code angle}. */
    public static float sinpi(float angle) {
        return (float) Math.sin(Math.PI * angle);
    }

    /** Returns the cosine of π times {@code angle}. */
    public static float cospi(float angle) {
        return (float) Math.cos(Math.PI * angle);
    }

    /** Returns the logarithm to base 2. */
    public static double log2(double value) {
        return log(value) / log(2.0);
    }

    /** Returns what is left after {@link #floor}. */
    public static double fract(double f) {
        return f - floor(f);
    }

    /** Returns {@code a} to the power of {@code b}. */
    public static double pow(double a, double b) {
        return Math.pow(a, b);
    }

    /** Returns the angle of the point (b, a). */
    public static double atan2(double a, double b) {
        return Math.atan2(a, b);
    }

    /** Returns the inverse hyperbolic cosine. */
    public static double acosh(double x) {
        return Math.log(x + Math.sqrt(x * x - 1));
    }

    /** Returns the inverse hyperbolic sine. */
    public static double asinh(double x) {
        return Math.log(x + Math.sqrt(x * x + 1));
    }

    /** Returns the sine of π times {@code angle}. */
    public static double sinpi(double angle) {
        return Math.sin(Math.PI * angle);
    }

    /** Returns the cosine of π times {@code angle}. */
    public static double cospi(double angle) {
        return Math.cos(Math.PI * angle);
    }

    /** Returns π. */
    public static float floatPI() {
        return (float) Math.PI;
    }

    /** Returns π. */
    public static double PI() {
        return Math.PI;
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(float[] a, float[] b) {
        for (int i = 0; i < a.length; i++) {
            if (Float.floatToIntBits(a[i]) != Float.floatToIntBits(b[i])) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(double[] a, double[] b) {
        for (int i = 0; i < a.length; i++) {
            if (Double.doubleToLongBits(a[i]) != Double.doubleToLongBits(b[i])) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(int[] a, int[] b) {
        for (int i = 0; i < a.length; i++) {
            if (a[i] != b[i]) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(short[] a, short[] b) {
        for (int i = 0; i < a.length; i++) {
            if (a[i] != b[i]) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(byte[] a, byte[] b) {
        for (int i = 0; i < a.length; i++) {
            if (a[i] != b[i]) {
                return false;
            }
        }
        return true;
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(FloatArray a, FloatArray b) {
        return isEqual(a.toHeapArray(), b.toHeapArray());
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(DoubleArray a, DoubleArray b) {
        return isEqual(a.toHeapArray(), b.toHeapArray());
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(IntArray a, IntArray b) {
        return isEqual(a.toHeapArray(), b.toHeapArray());
    }

    /** Returns whether the elements of {@code a} have the same bits as those of {@code b}. */
    public static boolean isEqual(HalfFloatArray a, HalfFloatArray b) {
        return isEqual(a.toShortArray(), b.toShortArray());
    }

    /** Returns whether no element of {@code a} is further than {@code tol} from that of {@code b}. */
    public static boolean isEqualTol(float[] a, float[] b, float tol) {
        for (int i = 0; i < a.length; i++) {
            if (!(Math.abs(a[i] - b[i]) <= tol)) {
                return false;
            }
        }
        return true;
    }
}
