/* The collector `mta`: does the MTA greet, does it ask our filter, when does its certificate expire, and what is it?
 *
 * All listeners are checked at the same time, each in a thread, so that one that hangs makes no other late. Nothing is executed to learn
 * the MTA's version: it tells the filter, or stands in the greeting. */
#ifndef EXPORTER_COLLECT_MTA_H
#define EXPORTER_COLLECT_MTA_H

#include "exporter/collect/collector.h"

extern const struct collector collect_mta;

/* The version of the MTA: "3.7.11"; "" before it is known. Of what `open` returned; only a run changes it. */
const char *mta_version(const void *self);

#endif
