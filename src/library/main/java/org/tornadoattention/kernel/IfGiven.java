package org.tornadoattention.kernel;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Marks an array that some forms of a kernel do without: where there is no argument for it, it leaves the signature.
 * Only code that such a form leaves out may touch it.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.PARAMETER)
public @interface IfGiven {}
