/* The collector `mta` by itself, for tests that cannot wait a minute: a run for each line on standard input. Prints the gauges that are
 * there, as the catalogue names them, the version of the MTA, and an empty line; at the start an empty line alone.
 *
 *   mta-check CONFIGURATION */
#include "conf/lib/options.h"
#include "exporter/collect/mta.h"
#include "tests/unit/tally_form.h"

static void print_gauges(const struct tally *tally)
{
    char series[SERIES_TEXT_MAX], value[32];
    for (unsigned i = 0; i < gauge_COUNT; i++) {
        int64_t now = atomic_load(&tally->self->gauges[i]);
        if (now == GAUGE_ABSENT)
            continue;
        catalogue_gauge_text(i, series);
        catalogue_value_text(catalogue_gauge_metric(i)->unit, now, value);
        printf("%s %s\n", series, value);
    }
}

int main(int argc, char **argv)
{
    static struct settings settings;
    static struct tally tally;
    struct failure failure = {EX_OK, ""};
    char line[16];
    if (argc != 2 || !options_read(argv[1], &settings, &failure)) {
        fprintf(stderr, "mta-check CONFIGURATION: %s\n", failure.text);
        return EX_USAGE;
    }
    form_fresh(&tally);
    void *self = collect_mta.open(&settings, &tally, &failure);
    printf("\n"); /* the configuration has been read */
    fflush(stdout);
    while (self != NULL && fgets(line, sizeof line, stdin) != NULL) {
        if (!collect_mta.run(self, &failure))
            printf("failure: %s\n", failure.text);
        print_gauges(&tally);
        printf("version %s\n\n", mta_version(self));
        fflush(stdout);
    }
    if (self != NULL)
        collect_mta.close(self);
    form_free(&tally);
    return EX_OK;
}
