package org.tornadoattention.kernel;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * Marks an array parameter of a kernel whose element type a problem chooses: the type in the text is that of one form
 * among several, the others are made at run time. Parameters of one group have the same type in each form.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.PARAMETER)
public @interface Element {

    /** The group. */
    String value() default "";
}
