package org.tornadoattention.simulator;

/**
 * What the accesses of one line of a kernel to one array cost. An instruction of a warp is one for all of its lanes
 * that take part.
 *
 * @param place the line, as {@code File.java:12}
 * @param array the name of the kernel's parameter or local variable
 * @param access what is done
 * @param instructions instructions of warps
 * @param lanes lanes that took part, over all instructions
 * @param sectors of device memory, the 32-byte sectors that the instructions moved; else 0
 * @param fewestSectors how many it would be if the lanes' elements lay side by side from the start of a sector on
 * @param passes of local memory, the turns that the 32 banks of 4 bytes needed; else 0
 * @param fewestPasses how many it would be without bank conflicts
 * @param ways the most words of one bank that one instruction asked for; 1 is no conflict
 */
public record LineCosts(
        String place,
        String array,
        MemoryAccess access,
        long instructions,
        long lanes,
        long sectors,
        long fewestSectors,
        long passes,
        long fewestPasses,
        int ways) {

    /** Whether {@code next} does the same to the same array, in another line of the same file. */
    boolean goesOnWith(LineCosts next) {
        return array.equals(next.array)
                && access == next.access
                && file().equals(next.file())
                && !place.equals(next.place);
    }

    /** Returns the costs of these lines and {@code next} together. */
    LineCosts with(LineCosts next) {
        String first = place.substring(file().length() + 1);
        int dash = first.indexOf('-');
        return new LineCosts(
                file() + ":" + (dash < 0 ? first : first.substring(0, dash)) + "-"
                        + next.place.substring(file().length() + 1),
                array,
                access,
                instructions + next.instructions,
                lanes + next.lanes,
                sectors + next.sectors,
                fewestSectors + next.fewestSectors,
                passes + next.passes,
                fewestPasses + next.fewestPasses,
                Math.max(ways, next.ways));
    }

    private String file() {
        return place.substring(0, place.lastIndexOf(':'));
    }

    /** Returns the turns that bank conflicts cost. */
    public long bankConflicts() {
        return passes - fewestPasses;
    }

    /** Returns the mean number of lanes, of 32, that took part. */
    public double lanesPerInstruction() {
        return instructions == 0 ? 0 : (double) lanes / instructions;
    }
}
