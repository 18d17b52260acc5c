/* Fuzz target: everything that Redis may answer to a fleet exporter; the input is the replies, of two readings one after another. What
 * is written for a scraper then has no byte that does not belong there, and no total of a row is lower than before. */
#include "tests/kit/canned_redis.h"

#include "conf/lib/exposition.h"
#include "exporter/serve/fleet.c"
#include "exporter/serve/instance.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fleet_view *read_all(struct fleet *fleet)
{
    struct failure failure;
    enum label_error error = error_COUNT;
    enum fleet_progress progress = fleet_more;
    fleet_begin(fleet);
    while (progress == fleet_more) {
        canned_exchange();
        fleet_ask(fleet, NULL);
        progress = fleet_take(fleet, NULL, &error, &failure);
    }
    if (progress == fleet_failed && (error >= error_COUNT || failure.text[0] == '\0'))
        abort();
    return progress == fleet_read ? fleet_show(fleet) : NULL;
}

static void check_text(const struct fleet_view *view)
{
    char *text = NULL;
    size_t length = 0;
    struct exposition_part parts[ROSTER_MAX];
    for (unsigned i = 0; i < view->count; i++)
        parts[i] = (struct exposition_part){view->rows[i].name, &view->rows[i].values};
    FILE *out = open_memstream(&text, &length);
    exposition_write(out, exposition_openmetrics, parts, view->count);
    fclose(out);
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
            abort();
    }
    free(text);
}

/* The floors hold what is shown, whatever it was. */
static void check_floors(const struct fleet *fleet)
{
    for (unsigned i = 0; i < fleet->roster.count; i++) {
        struct member *member = fleet->roster.members[i];
        struct instance said = member->said;
        if (!roster_lists(&fleet->roster, member) || !said.known || !said.values.has_totals)
            continue;
        shown_raise(&member->shown, said.id, &said.values);
        if (memcmp(said.values.totals, member->said.values.totals, sizeof said.values.totals) != 0 ||
            said.values.domains.shown != member->said.values.domains.shown)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fleet *fleet = fleet_new();
    canned_load((const char *)data, size);
    for (int i = 0; fleet != NULL && i < 2; i++) {
        struct fleet_view *view = read_all(fleet);
        if (view != NULL) {
            check_text(view);
            check_floors(fleet);
        }
        fleet_view_release(view);
    }
    fleet_free(fleet);
    return 0;
}
