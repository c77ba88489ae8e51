package org.tornadoattention.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Memory of the host that nobody has written, for those who will write all of it by several threads: the JVM's own is
 * zeroed by the thread that asks for it, page by page, which takes longer than small problems do on many cores. It is
 * freed when nothing refers to it any more.
 *
 * <p>With {@code -Dtornadoattention.poison=true}, for tests, all of it is NaN in each floating-point type, so that what
 * is not written shows.
 */
public final class UnwrittenMemory {

    /** Fills what is given with NaN. */
    public static final String PROPERTY = "tornadoattention.poison";

    private static final boolean POISONED = Boolean.getBoolean(PROPERTY);

    /** Bytes below which the JVM's own memory is as good. */
    private static final long LEAST = 1 << 16;

    /** Places begin with a line of the caches. */
    private static final long LINE = 64;

    /** As many as the JVM lets itself have outside its heap by default; it collects garbage when these are used up. */
    private static final long LIMIT = Runtime.getRuntime().maxMemory();

    private static final AtomicLong USED = new AtomicLong();

    private UnwrittenMemory() {}

    /** Functions of the C library. */
    private record Library(MethodHandle allocate, MethodHandle free) {

        /** None where the user has not said that native functions may be called, or the system may have others. */
        private static final Optional<Library> FOUND =
                System.getProperty("os.name").equals("Linux")
                                && UnwrittenMemory.class.getModule().isNativeAccessEnabled()
                        ? Optional.of(find())
                        : Optional.empty();

        @SuppressWarnings("restricted") // allowed, as the module was asked
        private static Library find() {
            Linker linker = Linker.nativeLinker();
            SymbolLookup symbols = linker.defaultLookup();
            return new Library(
                    linker.downcallHandle(
                            symbols.findOrThrow("aligned_alloc"),
                            FunctionDescriptor.of(ValueLayout.ADDRESS, ValueLayout.JAVA_LONG, ValueLayout.JAVA_LONG)),
                    linker.downcallHandle(symbols.findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS)));
        }
    }

    /**
     * New memory, whose bytes are anything.
     *
     * @param header bytes before those that are to begin with a line of the caches, from 0 to 64
     * @param bytes how many follow
     * @return memory of the header and what follows, or none where the JVM's own is as good or there is no other
     */
    public static Optional<MemorySegment> allocate(long header, long bytes) {
        return bytes < (POISONED ? 1 : LEAST)
                ? Optional.empty()
                : Library.FOUND.flatMap(library -> allocate(library, header, bytes));
    }

    @SuppressWarnings("restricted")
    private static Optional<MemorySegment> allocate(Library library, long header, long bytes) {
        long whole = LINE + Math.ceilDiv(bytes, LINE) * LINE;
        if (USED.addAndGet(whole) > LIMIT) {
            USED.addAndGet(-whole);
            return Optional.empty();
        }
        MemorySegment made = call(() -> (MemorySegment) library.allocate.invokeExact(LINE, whole));
        if (made.address() == 0) {
            USED.addAndGet(-whole);
            return Optional.empty();
        }
        MemorySegment own = made.reinterpret(whole, Arena.ofAuto(), memory -> free(library, memory, whole));
        if (POISONED) {
            own.fill((byte) -1);
        }
        return Optional.of(own.asSlice(LINE - header, header + bytes));
    }

    private static void free(Library library, MemorySegment memory, long bytes) {
        call(() -> {
            library.free.invokeExact(memory);
            return memory;
        });
        USED.addAndGet(-bytes);
    }

    /** Bytes that are allocated and not freed. */
    static long used() {
        return USED.get();
    }

    private interface Call {
        MemorySegment run() throws Throwable;
    }

    private static MemorySegment call(Call call) {
        try {
            return call.run();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException("A function of the C library could not be called.", e);
        }
    }
}
