package org.tornadoattention.device;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Memory of the host that is not zeroed, for those who will write all of it by several threads: the JVM's own is zeroed
 * by the thread that asks for it, page by page, and the system makes each page anew, which takes longer than small
 * problems do on many cores. It is freed when nothing refers to it any more, and then kept for the next that wants as
 * much, up to a quarter of what the JVM may have.
 *
 * <p>With {@code -Dtornadoattention.poison=true}, for tests, all of it is NaN in each floating-point type, so that what
 * is not written shows.
 */
public final class UnwrittenMemory {

    /** Fills what is given with NaN. */
    public static final String PROPERTY = "tornadoattention.poison";

    private static final boolean POISONED = Boolean.getBoolean(PROPERTY);

    /** Bytes below which the JVM's own memory is as good, and of which sizes are multiples. */
    private static final long LEAST = 1 << 16;

    /** Places begin with a line of the caches. */
    private static final long LINE = 64;

    private static final long HUGE_PAGE = 2 << 20;

    /** Of so many bytes on, the system is asked for huge pages, of which it makes fewer. */
    private static final long LEAST_OF_HUGE_PAGES = HUGE_PAGE / 2;

    private static final int ADVICE_OF_HUGE_PAGES = 14;

    /** As many as the JVM lets itself have outside its heap by default; it collects garbage when these are used up. */
    private static final long LIMIT = Runtime.getRuntime().maxMemory();

    private static final long LIMIT_OF_KEPT = LIMIT / 4;

    /** Bytes that the system gave, those that are kept for the next among them. */
    private static final AtomicLong USED = new AtomicLong();

    private static final AtomicLong KEPT = new AtomicLong();

    /** What is kept, by its size. */
    private static final Map<Long, Queue<MemorySegment>> FREE = new ConcurrentHashMap<>();

    private UnwrittenMemory() {}

    /** Functions of the C library. */
    private record Library(MethodHandle allocate, MethodHandle free, MethodHandle advise) {

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
            ValueLayout.OfLong size = ValueLayout.JAVA_LONG;
            return new Library(
                    linker.downcallHandle(
                            symbols.findOrThrow("aligned_alloc"),
                            FunctionDescriptor.of(ValueLayout.ADDRESS, size, size)),
                    linker.downcallHandle(symbols.findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS)),
                    linker.downcallHandle(
                            symbols.findOrThrow("madvise"),
                            FunctionDescriptor.of(
                                    ValueLayout.JAVA_INT, ValueLayout.ADDRESS, size, ValueLayout.JAVA_INT)));
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
        long unit = bytes < LEAST_OF_HUGE_PAGES ? LEAST : HUGE_PAGE;
        long whole = Math.ceilDiv(LINE + bytes, unit) * unit;
        return kept(whole).or(() -> made(library, whole)).map(memory -> {
            MemorySegment own = memory.reinterpret(whole, Arena.ofAuto(), freed -> keep(library, freed, whole));
            if (POISONED) {
                own.fill((byte) -1);
            }
            return own.asSlice(LINE - header, header + bytes);
        });
    }

    private static Optional<MemorySegment> kept(long bytes) {
        Queue<MemorySegment> ofThisSize = FREE.get(bytes);
        MemorySegment memory = ofThisSize == null ? null : ofThisSize.poll();
        if (memory != null) {
            KEPT.addAndGet(-bytes);
        }
        return Optional.ofNullable(memory);
    }

    private static Optional<MemorySegment> made(Library library, long bytes) {
        if (USED.addAndGet(bytes) > LIMIT) {
            freeKept(library);
            if (USED.get() > LIMIT) {
                USED.addAndGet(-bytes);
                return Optional.empty();
            }
        }
        boolean huge = bytes >= LEAST_OF_HUGE_PAGES;
        try {
            MemorySegment made = (MemorySegment) library.allocate.invokeExact(huge ? HUGE_PAGE : LINE, bytes);
            if (made.address() == 0) {
                USED.addAndGet(-bytes);
                return Optional.empty();
            }
            if (huge) {
                // A system that does not know the advice refuses it.
                int _ = (int) library.advise.invokeExact(made, bytes, ADVICE_OF_HUGE_PAGES);
            }
            return Optional.of(made);
        } catch (Throwable e) {
            throw unchecked(e);
        }
    }

    /** Called when nothing refers to memory any more. */
    private static void keep(Library library, MemorySegment memory, long bytes) {
        MemorySegment unscoped = MemorySegment.ofAddress(memory.address());
        if (bytes > LIMIT_OF_KEPT) {
            free(library, unscoped, bytes);
            return;
        }
        if (KEPT.addAndGet(bytes) > LIMIT_OF_KEPT) {
            freeKept(library); // sizes that nobody asks for any more, perhaps
        }
        FREE.computeIfAbsent(bytes, _ -> new ConcurrentLinkedQueue<>()).add(unscoped);
    }

    /** Gives the system what is kept for the next. */
    public static void freeKept() {
        Library.FOUND.ifPresent(UnwrittenMemory::freeKept);
    }

    private static void freeKept(Library library) {
        for (long size : FREE.keySet()) {
            for (Optional<MemorySegment> memory = kept(size); memory.isPresent(); memory = kept(size)) {
                free(library, memory.get(), size);
            }
        }
    }

    private static void free(Library library, MemorySegment memory, long bytes) {
        try {
            library.free.invokeExact(memory);
        } catch (Throwable e) {
            throw unchecked(e);
        }
        USED.addAndGet(-bytes);
    }

    private static RuntimeException unchecked(Throwable e) {
        if (e instanceof Error error) {
            throw error;
        }
        return e instanceof RuntimeException known
                ? known
                : new IllegalStateException("A function of the C library could not be called.", e);
    }

    /** Bytes that something refers to. */
    static long used() {
        return USED.get() - KEPT.get();
    }

    /** Bytes that are kept for the next. */
    static long unused() {
        return KEPT.get();
    }
}
