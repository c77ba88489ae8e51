package org.tornadoattention.kernel.parts;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Marks a static method that is a part of a kernel: forms of the kernel have its code where it is called. TornadoVM
 * inlines methods by itself, but none that indexes local memory which it got as a parameter, and none of more than some
 * 600 nodes.
 */
@Retention(RetentionPolicy.CLASS)
@Target(ElementType.METHOD)
public @interface Phase {}
