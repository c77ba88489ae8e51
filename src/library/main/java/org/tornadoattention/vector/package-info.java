/**
 * The algorithms on the JVM's vector units and all its cores: what computes where there is no GPU.
 * {@link org.tornadoattention.vector.VectorForward} and {@link org.tornadoattention.vector.VectorBackward} are the two
 * passes; {@link org.tornadoattention.vector.Lanes} is all that they ask of the machine, with an implementation on
 * {@code jdk.incubator.vector} and one in plain Java.
 *
 * <p>Scores are stored transposed, a row for each key and a lane for each query. So maxima, sums and exponentials run
 * down the lanes without a horizontal step, K and V are read as they lie in memory, and only Q is transposed, once for
 * each tile.
 */
package org.tornadoattention.vector;
