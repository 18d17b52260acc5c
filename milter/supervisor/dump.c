/* --dump. */
#include "milter/supervisor/dump.h"

#include "conf/lib/exposition.h"
#include "conf/lib/tally.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void print_unknown(void *context, const char *name, uint64_t value)
{
    fprintf(context, "%s %" PRIu64 "\n", name, value);
}

/* What the collector counted, where there is one. */
static bool add_node(const struct settings *settings, struct snapshot *snapshot)
{
    struct failure failure;
    struct snapshot node;
    struct tally_view *view = tally_view_open_node(settings->run_directory, &failure);
    bool read = view != NULL && tally_view_read(view, &node);
    if (read)
        snapshot_add_node(snapshot, &node);
    if (view == NULL && failure.status != EX_NOINPUT)
        fprintf(stderr, "milterscope: %s\n", failure.text);
    if (view != NULL)
        tally_view_close(view);
    return read;
}

static bool print(const struct snapshot *snapshot)
{
    exposition_write(stdout, exposition_text, &(struct exposition_part){NULL, snapshot}, 1);
    return fflush(stdout) == 0;
}

int dump(const struct settings *settings)
{
    struct failure run_failure, copy_failure;
    struct snapshot snapshot;
    struct tally_view *view = tally_view_open(settings->run_directory, &run_failure);
    if (view == NULL && (view = tally_view_open(settings->state_directory, &copy_failure)) != NULL)
        fprintf(stderr, "milterscope: %s; these are the totals of the last copy\n", run_failure.text);
    snapshot_clear(&snapshot);
    if (view == NULL && add_node(settings, &snapshot)) /* only a collector runs here */
        return print(&snapshot) ? EX_OK : EX_IOERR;
    if (view == NULL) {
        fprintf(stderr, "milterscope: no tally to print: %s; %s\n", run_failure.text, copy_failure.text);
        return EX_NOINPUT;
    }
    bool read = tally_view_read(view, &snapshot);
    for (unsigned place = 0; read && place < DOMAINS_MAX; place++) /* also domains that are not configured any more */
        snapshot.domains.shown |= (uint64_t)(snapshot.domains.names[place][0] != '\0') << place;
    if (read)
        add_node(settings, &snapshot);
    if (read && !snapshot.has_totals)
        fputs("# totals wait until Redis has been asked, after a power failure\n", stdout);
    if (read)
        exposition_write(stdout, exposition_text, &(struct exposition_part){NULL, &snapshot}, 1);
    if (read && snapshot.has_totals)
        tally_view_unknown(view, print_unknown, stdout);
    tally_view_close(view);
    if (read && fflush(stdout) == 0)
        return EX_OK;
    fprintf(stderr, "milterscope: %s\n",
            read ? strerror(errno) : "the tally cannot be read: it was changed, or there is no memory");
    return EX_IOERR;
}
