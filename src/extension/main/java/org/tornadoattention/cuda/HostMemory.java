package org.tornadoattention.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongConsumer;
import java.util.stream.LongStream;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;
import uk.ac.manchester.tornado.drivers.cuda.CUDAContext;

/**
 * Memory of the host, page-locked or such that nobody has written yet. The JVM's own is zeroed by the thread that asks
 * for it, page by page: 33 to 40 ms for 67 MB on an H200's host, where all else that a call does takes 24. Here other
 * threads have the system make the pages, while the device computes what will be written to them.
 */
final class HostMemory {

    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG;

    private static final long PAGE = 4096;
    private static final long HUGE_PAGE = 2 << 20;

    /** What a thread has made at a time. */
    private static final long PIECE_BYTES = 2 * HUGE_PAGE;

    private static final int HUGE_PAGES = 14;
    private static final int MAKE_PAGES = 23;

    /** As many as the JVM lets itself have outside its heap by default; it collects garbage when these are used up. */
    private static final long LIMIT = Runtime.getRuntime().maxMemory();

    private static final AtomicLong USED = new AtomicLong();

    private HostMemory() {}

    /** Functions of the C library. */
    private record Library(MethodHandle allocate, MethodHandle free, MethodHandle advise) {

        private static final Optional<Library> FOUND =
                System.getProperty("os.name").equals("Linux") ? Optional.of(find()) : Optional.empty();

        @SuppressWarnings("restricted") // as is all that calls the driver
        private static Library find() {
            Linker linker = Linker.nativeLinker();
            SymbolLookup symbols = linker.defaultLookup();
            return new Library(
                    linker.downcallHandle(
                            symbols.findOrThrow("aligned_alloc"),
                            FunctionDescriptor.of(ValueLayout.ADDRESS, LONG, LONG)),
                    linker.downcallHandle(symbols.findOrThrow("free"), FunctionDescriptor.ofVoid(ValueLayout.ADDRESS)),
                    linker.downcallHandle(
                            symbols.findOrThrow("madvise"),
                            FunctionDescriptor.of(INT, ValueLayout.ADDRESS, LONG, INT)));
        }
    }

    /**
     * Memory that is freed when nothing refers to it any more.
     *
     * @return none where the system is another one, or so much is in use that the JVM's own collector has to decide
     */
    static Optional<MemorySegment> allocate(long bytes) {
        return Library.FOUND.flatMap(library -> allocate(library, bytes));
    }

    @SuppressWarnings("restricted")
    private static Optional<MemorySegment> allocate(Library library, long bytes) {
        return reserve(library, bytes).map(made -> {
            long whole = made.byteSize();
            MemorySegment own = made.reinterpret(whole, Arena.ofAuto(), memory -> free(library, memory));
            for (long at = 0; at < whole; at += PIECE_BYTES) {
                MemorySegment piece = own.asSlice(at, Math.min(PIECE_BYTES, whole - at));
                ForkJoinPool.commonPool().execute(() -> advise(library, piece, MAKE_PAGES));
            }
            return own.asSlice(0, bytes);
        });
    }

    /**
     * Memory that is registered with the driver, which then reads and writes it without a copy in between, and that is
     * freed when nothing refers to it any more. All of it is 0. The elements of an array that begins with it begin with
     * a page.
     *
     * @param freed told the address when nothing refers to the memory any more
     * @return none where {@link #allocate} gives none, or the driver refuses
     */
    static Optional<MemorySegment> allocatePinned(CUDAContext context, long bytes, LongConsumer freed) {
        return Library.FOUND.flatMap(library -> allocatePinned(library, context, bytes, freed));
    }

    @SuppressWarnings("restricted")
    private static Optional<MemorySegment> allocatePinned(
            Library library, CUDAContext context, long bytes, LongConsumer freed) {
        long skipped = PAGE - TornadoNativeArray.ARRAY_HEADER;
        return reserve(library, skipped + bytes).flatMap(made -> {
            long whole = made.byteSize();
            LongStream.range(0, Math.ceilDiv(whole, PIECE_BYTES)).parallel().forEach(piece -> {
                long at = piece * PIECE_BYTES;
                made.asSlice(at, Math.min(PIECE_BYTES, whole - at)).fill((byte) 0);
            });
            if (context.registerPinnedMemory(made.address(), whole) != 0) {
                free(library, made);
                return Optional.empty();
            }
            MemorySegment own = made.reinterpret(whole, Arena.ofAuto(), memory -> {
                freed.accept(memory.address() + skipped);
                context.unregisterPinnedMemory(memory.address());
                free(library, memory);
            });
            return Optional.of(own.asSlice(skipped, bytes));
        });
    }

    /** Whole pages, of anything; none where there are none left. */
    @SuppressWarnings("restricted")
    private static Optional<MemorySegment> reserve(Library library, long bytes) {
        long page = bytes < 2 * HUGE_PAGE ? PAGE : HUGE_PAGE;
        long whole = Math.ceilDiv(bytes, page) * page;
        if (USED.addAndGet(whole) > LIMIT) {
            USED.addAndGet(-whole);
            return Optional.empty();
        }
        try {
            MemorySegment made = (MemorySegment) library.allocate.invokeExact(page, whole);
            if (made.address() == 0) {
                USED.addAndGet(-whole);
                return Optional.empty();
            }
            MemorySegment pages = made.reinterpret(whole);
            if (page == HUGE_PAGE) {
                advise(library, pages, HUGE_PAGES);
            }
            return Optional.of(pages);
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    /** Content stays as it is, whoever writes meanwhile; a system that does not know the advice refuses it. */
    private static void advise(Library library, MemorySegment memory, int advice) {
        try {
            int _ = (int) library.advise.invokeExact(memory, memory.byteSize(), advice);
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
    }

    private static void free(Library library, MemorySegment memory) {
        long bytes = memory.byteSize();
        try {
            library.free.invokeExact(memory);
        } catch (Throwable e) {
            throw Driver.unchecked(e);
        }
        USED.addAndGet(-bytes);
    }
}
