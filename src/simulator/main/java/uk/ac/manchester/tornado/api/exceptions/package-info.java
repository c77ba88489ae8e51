/** What TornadoVM throws. Start with {@link uk.ac.manchester.tornado.api.exceptions.TornadoRuntimeException}. */
package uk.ac.manchester.tornado.api.exceptions;
