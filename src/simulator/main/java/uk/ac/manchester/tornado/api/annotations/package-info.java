/** Marks in a kernel's text. Start with {@link uk.ac.manchester.tornado.api.annotations.Parallel}. */
package uk.ac.manchester.tornado.api.annotations;
