/* A table: which setting of which MTA is which limit. */
#include "exporter/collect/load_limits.h"

#include "conf/lib/snapshot.h"

#include <string.h>

static const struct {
    enum label_server server;
    enum label_load action;
    const char *setting;
    int64_t preset; /* for each processor; 0: none */
} rows[] = {
    {server_sendmail, load_queue, "QueueLA", 8},        {server_sendmail, load_refuse, "RefuseLA", 12},
    {server_sendmail, load_delay, "DelayLA", 0},        {server_exim, load_queue, "queue_only_load", 0},
    {server_exim, load_refuse, "smtp_load_reserve", 0},
};

enum { PROCESSORS_MOST = 1 << 20 };

/* A limit above 0; anything else is none. */
static int64_t read_load(const char *text)
{
    int64_t load;
    size_t length = strlen(text);
    if (length == 0 || length > 12 || !catalogue_value_parse(unit_decimal, text, length, &load) || load <= 0)
        return GAUGE_ABSENT;
    return load;
}

void load_limits(enum label_server server, const struct mta_text *text, long processors, int64_t limits[load_COUNT])
{
    for (unsigned i = 0; i < load_COUNT; i++)
        limits[i] = GAUGE_ABSENT;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char value[32];
        if (rows[i].server != server || text->text == NULL)
            continue;
        bool found = server == server_sendmail ? mta_sendmail_value(text, rows[i].setting, value, sizeof value)
                                               : mta_exim_value(text, rows[i].setting, value, sizeof value);
        if (found)
            limits[rows[i].action] = read_load(value);
        else if (rows[i].preset > 0 && processors > 0 && processors < PROCESSORS_MOST)
            limits[rows[i].action] = rows[i].preset * processors * 1000000;
    }
}
