/* Finds marks in a line of a log outside of what it quotes: addresses in angle brackets, strings in quotes, remarks in parentheses. What is
 * in them others chose. */
#ifndef EXPORTER_COLLECT_LOG_QUOTED_H
#define EXPORTER_COLLECT_LOG_QUOTED_H

#include "exporter/collect/log_line.h"

/* Where the first such mark is; the length where there is none. Where what is quoted has no end all is looked at, and the first mark
 * is it. */
size_t quoted_find(struct span text, struct span mark);

/* What stands before the first such mark, which is taken off with it; without one: all, and nothing is left. */
struct span quoted_before(struct span *text, struct span mark);

#endif
