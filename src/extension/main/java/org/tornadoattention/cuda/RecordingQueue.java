package org.tornadoattention.cuda;

import java.lang.foreign.MemorySegment;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import uk.ac.manchester.tornado.api.types.arrays.TornadoNativeArray;
import uk.ac.manchester.tornado.drivers.cuda.CUDACommandQueue;
import uk.ac.manchester.tornado.drivers.cuda.CUDAKernel;

/** A queue of TornadoVM's that tells what it is given to the recording of its thread, where there is one. */
final class RecordingQueue extends CUDACommandQueue {

    private final RecordingQueues.Table table;

    /** The same queue as one of TornadoVM's, which goes on to own it. */
    RecordingQueue(CUDACommandQueue queue, RecordingQueues.Table table) {
        super(queue.getCommandQueuePtr(), queue.getProperties(), queue.getOpenclVersion());
        this.table = table;
    }

    /** Whether the plan that the queue belongs to is freed. */
    boolean isClosed() {
        return table.isClosed();
    }

    /** Where on the device an array of the plan lies, if it was brought there. */
    Optional<Driver.Place> place(TornadoNativeArray array) {
        return table.addressOf(array.getSegmentWithHeader().address())
                .map(address -> new Driver.Place(context(), address));
    }

    /** The driver's stream. */
    MemorySegment stream() {
        return MemorySegment.ofAddress(super.getNativeStream());
    }

    /** The driver's context. */
    MemorySegment context() {
        return MemorySegment.ofAddress(getNativeContext());
    }

    /** Whoever asks for it, as tasks of libraries do, gives it work unseen. */
    @Override
    public long getNativeStream() {
        recorder().ifPresent(each -> each.refuse("a task of a library has the stream to itself"));
        return super.getNativeStream();
    }

    private Optional<CommandRecorder> recorder() {
        Optional<CommandRecorder> recorder = CommandRecorder.ofThisThread();
        recorder.ifPresent(each -> each.use(this));
        return recorder;
    }

    @Override
    public long enqueueNDRangeKernel(
            CUDAKernel kernel,
            int dimensions,
            long @Nullable [] offset,
            long[] items,
            long @Nullable [] group,
            long @Nullable [] events) {
        recorder().ifPresent(each -> each.launch(kernel, items, group));
        return super.enqueueNDRangeKernel(kernel, dimensions, offset, items, group, events);
    }

    @Override
    public long enqueueWrite(
            long device,
            boolean blocking,
            long offset,
            long bytes,
            long host,
            long hostOffset,
            long @Nullable [] events) {
        table.remember(host + hostOffset, device + offset);
        recorder().ifPresent(each -> each.write(device + offset, host + hostOffset, bytes));
        return super.enqueueWrite(device, blocking, offset, bytes, host, hostOffset, events);
    }

    @Override
    public long enqueueRead(
            long device,
            boolean blocking,
            long offset,
            long bytes,
            long host,
            long hostOffset,
            long @Nullable [] events) {
        recorder().ifPresent(each -> each.read(device + offset, host + hostOffset, bytes));
        return super.enqueueRead(device, blocking, offset, bytes, host, hostOffset, events);
    }

    @Override
    public void launchGraph(long graph) {
        recorder().ifPresent(each -> each.launchGraph(graph));
        super.launchGraph(graph);
    }

    @Override
    public void beginGraphCapture() {
        recorder().ifPresent(each -> each.refuse("a CUDA graph was captured"));
        super.beginGraphCapture();
    }

    /** With a list of events, it joins other queues, which record nothing. */
    @Override
    public long enqueueBarrier(long @Nullable [] events) {
        if (events != null) {
            recorder().ifPresent(each -> each.refuse("the plan uses several queues"));
        }
        return super.enqueueBarrier(events);
    }

    private void refuseArrays() {
        recorder().ifPresent(each -> each.refuse("an array lies on the Java heap, where it may move"));
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, byte[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, char[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, short[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, int[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, long[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, float[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueWrite(
            long device, boolean blocking, long offset, long bytes, double[] array, long from, long[] events) {
        refuseArrays();
        return super.enqueueWrite(device, blocking, offset, bytes, array, from, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, byte[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, char[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, short[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, int[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, long[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, float[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }

    @Override
    public long enqueueRead(
            long device, boolean blocking, long offset, long bytes, double[] array, long to, long[] events) {
        refuseArrays();
        return super.enqueueRead(device, blocking, offset, bytes, array, to, events);
    }
}
