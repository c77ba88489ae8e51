package org.tornadoattention.simulator;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.ToLongFunction;

/**
 * What a launch of a kernel would cost a GPU: how its warps move memory, line by line, and what bounds it. Caches are
 * not simulated: a sector counts each time that an instruction asks for it, as a GPU's first-level cache counts
 * requests.
 *
 * @param kernel the name of the kernel method
 * @param groups work-groups
 * @param groupSize work-items in each; 0 for kernels with {@code @Parallel} loops, whose groups TornadoVM chooses
 * @param localBytes local memory of a group
 * @param privateBytes arrays of a work-item's own; what does not fit into registers goes to device memory
 * @param operations additions, multiplications, divisions and functions of floats and doubles, of all work-items
 * @param tensorOperations operations of the tensor cores
 * @param warpSteps instructions of warps that touch memory or end a turn of a loop
 * @param laneSteps lanes that took part in those
 * @param lines what each line costs, in the order of the code
 */
public record KernelCosts(
        String kernel,
        long groups,
        int groupSize,
        long localBytes,
        long privateBytes,
        long operations,
        long tensorOperations,
        long warpSteps,
        long laneSteps,
        List<LineCosts> lines) {

    private static final int SECTOR = 32;
    private static final int WARP = 32;

    /** Copies the list. */
    public KernelCosts {
        lines = List.copyOf(lines);
    }

    /** Returns the 32-byte sectors of device memory that all instructions moved. */
    public long sectors() {
        return sum(LineCosts::sectors);
    }

    /** Returns how many sectors it would be if lanes' elements lay side by side. */
    public long fewestSectors() {
        return sum(LineCosts::fewestSectors);
    }

    /** Returns the turns of local memory that bank conflicts cost. */
    public long bankConflicts() {
        return sum(LineCosts::bankConflicts);
    }

    /** Returns the share of lanes that were idle since others of their warp went another way, from 0 to 1. */
    public double divergence() {
        return warpSteps == 0 ? 0 : 1 - laneSteps / ((double) WARP * warpSteps);
    }

    /** Returns the operations, tensor cores included, for each byte of the sectors. */
    public double intensity() {
        return (operations + tensorOperations) / (double) Math.max(1, sectors() * SECTOR);
    }

    private long sum(ToLongFunction<LineCosts> property) {
        return lines.stream().mapToLong(property).sum();
    }

    /** Returns a table of all this, and what it means on {@code gpu}, as text. */
    public String describe(Gpu gpu) {
        StringBuilder text = new StringBuilder();
        text.append(
                groupSize == 0
                        ? format("Costs of kernel %s, a loop%n", kernel)
                        : format(
                                "Costs of kernel %s: %,d %s of %d%n",
                                kernel, groups, groups == 1 ? "group" : "groups", groupSize));
        int places = width(32, LineCosts::place);
        int arrays = width(12, LineCosts::array);
        String columns = "%-" + places + "s %-" + arrays + "s %-13s ";
        text.append(format(
                columns + "%11s %6s %11s %11s %9s %5s%n",
                "line",
                "array",
                "access",
                "warp instr.",
                "lanes",
                "sectors",
                "fewest",
                "conflicts",
                "ways"));
        for (LineCosts line : runs()) {
            boolean global = line.access().isGlobal();
            text.append(format(
                    columns + "%,11d %6.1f %11s %11s %9s %5s%s%n",
                    line.place(),
                    line.array(),
                    line.access().title(),
                    line.instructions(),
                    line.lanesPerInstruction(),
                    global ? format("%,d", line.sectors()) : "",
                    global ? format("%,d", line.fewestSectors()) : "",
                    global ? "" : format("%,d", line.bankConflicts()),
                    global ? "" : line.ways(),
                    mark(line)));
        }
        text.append(format(
                "device memory   %,d sectors of 32 bytes where %,d would do; %s%n",
                sectors(), fewestSectors(), coalescing()));
        text.append(format(
                "local memory    %,d bytes of a group, %,d turns lost to bank conflicts%n",
                localBytes, bankConflicts()));
        text.append(format(
                "private arrays  %,d bytes of a work-item%s%n",
                privateBytes,
                privateBytes > MOST_IN_REGISTERS ? ": more than registers hold, the rest goes to device memory" : ""));
        text.append(format("divergence      %.1f %% of the lanes idle%n", 100 * divergence()));
        text.append(occupancy(gpu));
        text.append(roofline(gpu));
        return text.toString();
    }

    private int width(int least, Function<LineCosts, String> text) {
        return Math.max(
                least,
                runs().stream()
                        .mapToInt(line -> text.apply(line).length())
                        .max()
                        .orElse(0));
    }

    /** Returns the lines, of which those that do the same one after the other, as unrolled loops do, are one. */
    private List<LineCosts> runs() {
        List<LineCosts> runs = new ArrayList<>();
        for (LineCosts line : lines) {
            LineCosts before = runs.isEmpty() ? null : runs.getLast();
            if (before != null && before.goesOnWith(line)) {
                runs.set(runs.size() - 1, before.with(line));
            } else {
                runs.add(line);
            }
        }
        return runs;
    }

    /** 255 registers of 4 bytes are the most that a work-item has, and some are for other things. */
    private static final long MOST_IN_REGISTERS = 200 * 4;

    private static String mark(LineCosts line) {
        if (line.access().isGlobal()) {
            return line.sectors() > 2 * line.fewestSectors() ? "  uncoalesced" : "";
        }
        return line.bankConflicts() > 0 ? "  conflicts" : "";
    }

    private String coalescing() {
        double factor = sectors() / (double) Math.max(1, fewestSectors());
        return factor < 1.01
                ? "lanes read and write side by side"
                : factor <= 1.3
                        ? "nearly side by side: rows begin inside of a sector"
                        : format("%.1f times as much as if lanes had their elements side by side", factor);
    }

    private String occupancy(Gpu gpu) {
        if (groupSize == 0) {
            return "occupancy       TornadoVM chooses the groups of @Parallel kernels\n";
        }
        int atOnce = gpu.groupsAtOnce(groupSize, localBytes);
        return atOnce == 0
                ? format("occupancy       a group does not fit on %s%n", gpu)
                : format(
                        "occupancy       at most %.0f %% on %s: %d groups on each of %d multiprocessors, as far as registers"
                                + " allow%n",
                        100 * gpu.occupancy(groupSize, localBytes), gpu, atOnce, gpu.multiprocessors());
    }

    private String roofline(Gpu gpu) {
        double seconds = sectors() * SECTOR / (gpu.gigabytesPerSecond() * 1e9);
        double arithmetic = operations / (gpu.teraflops() * 1e12);
        String bound = tensorOperations > 0
                ? "the roof of tensor cores is another one"
                : intensity() < gpu.ridge()
                        ? format(
                                "left of %s's ridge at %.1f: memory bounds it unless caches help, at %.1f %% of its peak",
                                gpu, gpu.ridge(), 100 * arithmetic / seconds)
                        : format("right of %s's ridge at %.1f: arithmetic bounds it", gpu, gpu.ridge());
        return format("roofline        %.2f operations per byte; %s%n", intensity(), bound);
    }

    private static String format(String pattern, Object... values) {
        return String.format(Locale.ROOT, pattern, values);
    }
}
