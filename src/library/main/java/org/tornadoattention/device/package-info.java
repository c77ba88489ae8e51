/**
 * The devices that TornadoVM, or the simulator, offers, and what they can do. Start here:
 * {@link org.tornadoattention.device.Devices}.
 */
@NullMarked
package org.tornadoattention.device;

import org.jspecify.annotations.NullMarked;
