/**
 * Pictures and tables of what was measured, as HTML and Markdown. Start here:
 * {@link org.tornadoattention.report.ReportPage} and {@link org.tornadoattention.report.MarkdownTables}.
 */
@NullMarked
package org.tornadoattention.report;

import org.jspecify.annotations.NullMarked;
