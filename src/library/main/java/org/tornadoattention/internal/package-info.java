/** What several rooms of the library share, and users do not see. Start here: {@link org.tornadoattention.internal.Arguments}. */
package org.tornadoattention.internal;
