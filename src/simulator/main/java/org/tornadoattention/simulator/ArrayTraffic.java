package org.tornadoattention.simulator;

/**
 * What a kernel launch read from and wrote to one array.
 *
 * @param name the name of the kernel's parameter or local variable
 * @param elementBytes bytes of one element
 * @param elementsRead elements read by all work-items together; an element that is read twice counts twice
 * @param elementsWritten elements written by all work-items together
 */
public record ArrayTraffic(String name, int elementBytes, long elementsRead, long elementsWritten) {

    /** Returns the bytes read. */
    public long bytesRead() {
        return elementsRead * elementBytes;
    }

    /** Returns the bytes written. */
    public long bytesWritten() {
        return elementsWritten * elementBytes;
    }
}
