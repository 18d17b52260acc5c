/* For the unit tests of what reads logs: a reader on the stage, that is killed and goes on, and the entries that it must give. */
#ifndef TESTS_UNIT_LOG_READING_H
#define TESTS_UNIT_LOG_READING_H

#include "exporter/collect/log_source.h"
#include "tests/unit/collect_stage.h"

static struct log_source *source;
static char position[LOG_POSITION_BYTES];

static inline int reading_tear_down(void **state)
{
    if (source != NULL)
        log_source_close(source);
    source = NULL;
    return stage_tear_down(state);
}

/* Nothing but the position is left of it. */
static inline void kill_reader(void)
{
    log_source_position(source, position);
    log_source_close(source);
    source = NULL;
}

static inline enum log_next take(struct log_entry *entry)
{
    enum log_next got;
    do
        got = log_source_next(source, entry, &stage.failure);
    while (got == log_next_busy);
    return got;
}

/* The texts that are to come, with this between them; then there are no more. A file tells of no program, a journal does. */
static inline void expect_entries(const char *expected, const char *between, bool has_program)
{
    char found[4096] = "";
    struct log_entry entry;
    enum log_next got;
    while ((got = take(&entry)) == log_next_entry) {
        assert_int_equal(strlen(entry.text), entry.length);
        assert_int_equal(entry.program != NULL, has_program);
        strcat(strcat(found, *found == '\0' ? "" : between), entry.text);
        assert_true(strlen(found) < sizeof found - 256);
    }
    assert_int_equal(got, log_next_none);
    assert_string_equal(found, expected);
}

#endif
