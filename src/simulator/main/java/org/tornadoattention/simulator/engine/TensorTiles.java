package org.tornadoattention.simulator.engine;

/** The parts of the tiles A, B and C that one lane brings to a multiplication, and the part of D that it takes away. */
final class TensorTiles {

    private final Object a;
    private final Object b;
    private final Object c;
    private Object d;

    TensorTiles(Object a, Object b, Object c) {
        this.a = a;
        this.b = b;
        this.c = c;
    }

    Object a() {
        return a;
    }

    Object b() {
        return b;
    }

    Object c() {
        return c;
    }

    Object d() {
        return d;
    }

    void d(Object result) {
        d = result;
    }
}
