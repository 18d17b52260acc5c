/* From a source of lines to their counting. */
#include "exporter/collect/log_place.h"

#include "conf/lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    LINES_A_TURN = 256,
    SAY_MS = 10 * 1000, /* between two words on a place that fails now and then */
};

void log_place_begin(struct log_place *place, const char *name)
{
    strcpy(place->name, name);
    place->exim_file = log_exim_file_of(name);
    if (!log_place_is_there(place))
        log_info("log: %s is not there yet; it is read from its beginning once it is", name);
}

void log_place_close(struct log_place *place)
{
    if (place->source != NULL)
        log_source_close(place->source);
    place->source = NULL;
    place->has_more = false;
}

bool log_place_is_there(struct log_place *place)
{
    place->was_there = place->was_there || strcmp(place->name, LOG_JOURNAL) == 0 ||
                       faccessat(AT_FDCWD, place->name, F_OK, AT_EACCESS) == 0 || errno == EACCES;
    return place->was_there;
}

void log_place_open(struct log_place *place, const struct log_store *store)
{
    place->failure.status = EX_OK;
    if (place->source == NULL)
        place->source = log_source_open(place->name, log_store_position(store, place->name), &place->failure);
    place->has_more = place->source != NULL;
}

static void take(struct log_counter *counter, const struct log_entry *entry)
{
    if (entry->lost > 0)
        tally_add(counter->counting.tally, SERIES_0(log_lines_lost_total), entry->lost);
    else if (entry->is_cut)
        log_count_cut(counter);
    else if (entry->program == NULL)
        log_count_text(counter, entry->text, entry->length);
    else
        log_count_line(counter, &(struct log_line){.time_us = entry->time_us,
                                                   .program = {entry->program, strlen(entry->program)},
                                                   .pid = entry->pid,
                                                   .message = {entry->text, entry->length}});
}

unsigned log_place_read(struct log_place *place, struct log_counter *counter)
{
    struct log_entry entry;
    unsigned lines = 0;
    enum log_next next = log_next_busy;
    counter->memory->exim.file = place->exim_file;
    counter->last_us = place->last_us;
    for (unsigned i = 0; i < LINES_A_TURN && place->has_more; i++) {
        next = log_source_next(place->source, &entry, &place->failure);
        place->has_more = next != log_next_none && next != log_next_failed;
        if (next != log_next_entry)
            continue;
        take(counter, &entry);
        lines++;
    }
    place->last_us = counter->last_us;
    return lines;
}

void log_place_keep(struct log_place *place, struct log_store *store, bool *changed)
{
    char position[LOG_POSITION_BYTES];
    const char *before = log_store_position(store, place->name);
    *changed = false;
    if (place->source == NULL)
        return;
    log_source_position(place->source, position);
    if (before == NULL || strcmp(before, position) != 0) {
        *changed = true;
        if (!log_store_set_position(store, place->name, position))
            fail(&place->failure, EX_OSERR, "no memory for the position in %s", place->name);
    }
    if (place->failure.status != EX_OK)
        log_place_close(place);
}

void log_place_say(struct log_place *place)
{
    const char *text = place->failure.status == EX_OK ? "" : place->failure.text;
    int64_t now_ms = tally_clock_ms();
    if (strcmp(place->said, text) == 0 || (place->said_ms != 0 && now_ms - place->said_ms < SAY_MS))
        return;
    if (text[0] != '\0')
        log_warning("log: %s", text);
    else
        log_info("log: %s is read again", place->name);
    strcpy(place->said, text);
    place->said_ms = now_ms;
}
