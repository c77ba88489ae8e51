/**
 * Attention and embeddings on the machines of an Apache Spark cluster: each task computes on one device that Spark's own
 * resource scheduling gave it.
 */
package org.tornadoattention.spark;
