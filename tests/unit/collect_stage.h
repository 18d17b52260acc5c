/* A stage for a collector: a folder of its own with files made up for the test, settings that are all at nothing, a tally in memory. */
#ifndef TESTS_UNIT_COLLECT_STAGE_H
#define TESTS_UNIT_COLLECT_STAGE_H

#include "tests/unit/remove_tree.h"
#include "tests/unit/tally_form.h"

#include "conf/lib/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
    char folder[64];
    struct settings settings;
    struct tally tally;
    struct failure failure;
};

static struct stage stage;

static inline int stage_set_up(void **state)
{
    (void)state;
    memset(&stage, 0, sizeof stage);
    strcpy(stage.folder, "/tmp/milterscope-stage-XXXXXX");
    strcpy(stage.settings.mta_config, "auto");
    form_fresh(&stage.tally);
    return mkdtemp(stage.folder) == NULL || chdir(stage.folder) != 0;
}

static inline int stage_tear_down(void **state)
{
    (void)state;
    form_free(&stage.tally);
    return chdir("/") != 0 || remove_tree(stage.folder) != 0;
}

/* Writes a file below the folder of the stage, and the folders that it lies in. */
static inline void stage_put_bytes(const char *path, const char *content, size_t length)
{
    char above[256];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(above, sizeof above, "%.*s", (int)(slash - path), path);
        mkdir(above, 0755);
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static inline void stage_put(const char *path, const char *content)
{
    stage_put_bytes(path, content, strlen(content));
}

static inline int64_t stage_gauge(unsigned gauge)
{
    return atomic_load(&stage.tally.self->gauges[gauge]);
}

#define assert_gauge(name, index, value)                                                                               \
    do {                                                                                                               \
        int64_t found = stage_gauge((unsigned)gauge_##name + (unsigned)(index));                                       \
        if (found != (int64_t)(value))                                                                                 \
            fail_msg("%s[%s] is %lld, not %lld", #name, #index, (long long)found, (long long)(value));                 \
    } while (0)

#endif
