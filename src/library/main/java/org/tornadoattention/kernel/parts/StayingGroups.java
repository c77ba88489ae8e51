package org.tornadoattention.kernel.parts;

/**
 * Which tiles of queries a work-group computes, one after the other, where there are fewer groups than tiles. Rounds go
 * to and fro, so that under a causal mask a group that has had a long tile gets a short one next; the tiles of a head
 * are computed at about the same time, so that its keys are in the device's cache.
 */
public final class StayingGroups {

    private StayingGroups() {}

    /** The number, as {@link Placement} counts, of a group's tile in a round. */
    public static int tile(int round, int group, int groups) {
        return round * groups + group + (round & 1) * (groups - 1 - 2 * group);
    }

    /**
     * How many tiles a group has. Without a branch, as the number of a tile: TornadoVM takes one at the head of a loop
     * for the loop's condition.
     */
    public static int rounds(int tiles, int group, int groups) {
        int inLast = group + (tiles / groups & 1) * (groups - 1 - 2 * group);
        return (tiles + groups - 1 - inLast) / groups;
    }
}
