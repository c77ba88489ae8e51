package uk.ac.manchester.tornado.api;

/** How many work-items run a kernel, and in groups of how many. */
public interface WorkerGrid {

    /** Returns the number of dimensions, 1 to 3. */
    int dimension();

    /** Returns the number of work-items per dimension. */
    long[] getGlobalWork();

    /** Returns the work-items of a group per dimension, or null if the runtime is to choose. */
    long[] getLocalWork();

    /** Returns the groups per dimension, or null if the group size is not set. */
    long[] getNumberOfWorkgroups();

    /** Returns the first global id per dimension. */
    long[] getGlobalOffset();

    /** Sets the number of work-items. */
    void setGlobalWork(long x, long y, long z);

    /** Sets the size of a group. */
    void setLocalWork(long x, long y, long z);

    /** Forgets the number of groups. */
    void setNumberOfWorkgroupsToNull();

    /** Forgets the size of a group. */
    void setLocalWorkToNull();

    /** Sets the first global ids. */
    void setGlobalOffset(long x, long y, long z);
}
