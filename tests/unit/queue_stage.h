/* A collector of queues on a stage: a spool, settings, a tally in memory. Behind queue.c, whose inside is looked at. */
#ifndef TESTS_UNIT_QUEUE_STAGE_H
#define TESTS_UNIT_QUEUE_STAGE_H

#include "tests/unit/queue_spool.h"
#include "tests/unit/tally_form.h"

#include "conf/lib/settings.h"
#include "exporter/collect/queue.h"

#include <cmocka.h>
#undef fail

static struct settings settings;
static struct tally tally;
static struct failure failure;

static inline int set_up(void **state)
{
    if (spool_set_up(state) != 0)
        return 1;
    memset(&settings, 0, sizeof settings);
    strcpy(settings.mta_config, "auto");
    settings.collector_queue_interval = 30000000;
    form_fresh(&tally);
    unsetenv("MAIL_CONFIG");
    return 0;
}

static inline int tear_down(void **state)
{
    form_free(&tally);
    return spool_tear_down(state);
}

/* Writes a file whose text may name the spool. */
__attribute__((format(printf, 2, 3))) static inline void put_config(const char *name, const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    spool_put_text(name, text);
}

static inline void configure(enum mta_kind kind, const char *config)
{
    settings.mta_kind = kind;
    snprintf(settings.mta_config, sizeof settings.mta_config, "%s/%s", spool, config);
}

static inline void add_own_queue(const char *directory, enum queue_form form)
{
    struct own_queue *queue = &settings.collector_queues.list[settings.collector_queues.count++];
    snprintf(queue->directory, sizeof queue->directory, "%s/%s", spool, directory);
    queue->format = form;
}

static inline int64_t gauge(unsigned gauge)
{
    return atomic_load(&tally.self->gauges[gauge]);
}
#define GAUGE_OF(name, queue) gauge((unsigned)gauge_##name + (unsigned)(queue))
#define AGE_OF(queue, age)                                                                                             \
    gauge((unsigned)gauge_queue_age_messages + (unsigned)(queue)*width_queue_age_messages + (unsigned)(age))

static inline struct queue_collector *opened(void)
{
    struct queue_collector *self = collect_queue.open(&settings, &tally, &failure);
    if (self == NULL)
        abort();
    return self;
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
