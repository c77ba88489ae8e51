/** TornadoVM's choices. Start with {@link uk.ac.manchester.tornado.api.enums.TornadoVMBackendType}. */
package uk.ac.manchester.tornado.api.enums;
