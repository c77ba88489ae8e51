package org.tornadoattention.kernel;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Marks a number that a kernel's form for one problem knows: it leaves the signature, and is a local variable with that
 * value instead. A number that changes between two launches of a plan travels in an array.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.PARAMETER)
public @interface Constant {}
