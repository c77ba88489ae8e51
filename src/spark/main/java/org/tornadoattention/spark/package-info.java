/**
 * Attention and embeddings on the machines of an Apache Spark cluster: each task computes on one device that Spark's
 * own resource scheduling gave it.
 */
@NullMarked
package org.tornadoattention.spark;

import org.jspecify.annotations.NullMarked;
