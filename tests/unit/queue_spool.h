/* A spool made by hand in a folder of its own, and one pass over a directory of it. */
#ifndef TESTS_UNIT_QUEUE_SPOOL_H
#define TESTS_UNIT_QUEUE_SPOOL_H

#include "exporter/collect/queue_scan.h"
#include "tests/unit/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char spool[] = "/tmp/milterscope-spool-XXXXXX";

static inline int spool_set_up(void **state)
{
    (void)state;
    memcpy(spool + sizeof spool - 7, "XXXXXX", 6);
    return mkdtemp(spool) == NULL;
}

static inline int spool_tear_down(void **state)
{
    (void)state;
    return remove_tree(spool);
}

#define SPOOL_TEST(test) cmocka_unit_test_setup_teardown(test, spool_set_up, spool_tear_down)

/* Valid until the fourth call from now. */
static inline const char *in_spool(const char *name)
{
    static char paths[4][600];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", spool, name);
    return path;
}

/* Makes the file and the directories that it is in. */
static inline void spool_put(const char *name, const void *bytes, size_t length, mode_t mode)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", spool, name);
    for (char *slash = path + strlen(spool) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
        *slash = '\0';
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            abort();
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length || fchmod(fd, mode) != 0)
        abort();
    close(fd);
}

static inline void spool_put_text(const char *name, const char *text)
{
    spool_put(name, text, strlen(text), 0600);
}

/* What a pass finds. */
struct pass {
    struct queue_sum sums[queue_COUNT];
    bool good, complete;
    int error;
    struct failure failure;
};

static const struct queue_bounds unbounded = {{INT64_MAX, INT64_MAX}, {INT64_MAX, INT64_MAX}};

static inline struct pass spool_pass(struct queue_place place, const char *directory, int64_t now,
                                     const struct queue_bounds *bounds)
{
    struct pass pass = {.complete = true};
    snprintf(place.directory, sizeof place.directory, "%s%s%s", spool, *directory != '\0' ? "/" : "", directory);
    pass.good = queue_scan(&place, bounds, now, pass.sums, &pass.complete, &pass.failure);
    pass.error = errno;
    return pass;
}

/* A file of Postfix: records one after another. */
struct records_made {
    size_t length;
    char bytes[16384];
};

static inline void put_record(struct records_made *made, char type, const char *text, size_t length)
{
    size_t rest = length;
    made->bytes[made->length++] = type;
    do {
        made->bytes[made->length++] = (char)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        rest >>= 7;
    } while (rest > 0);
    memcpy(made->bytes + made->length, text, length);
    made->length += length;
}

/* As cleanup writes it: size, time, attributes, sender, recipient, message. */
static inline struct records_made postfix_file(long bytes, int64_t arrived, const char *sender)
{
    struct records_made made = {.length = 0};
    char text[128];
    int length = snprintf(text, sizeof text, "%15ld %15d %15d %15d %15ld %15d", bytes, 700, 1, 0, bytes, 0);
    put_record(&made, 'C', text, (size_t)length);
    length = snprintf(text, sizeof text, "%lld %lld", (long long)(arrived / 1000000), (long long)(arrived % 1000000));
    put_record(&made, 'T', text, (size_t)length);
    put_record(&made, 'A', "rewrite_context=local", 21);
    put_record(&made, 'S', sender, strlen(sender));
    put_record(&made, 'A', "dsn_orig_rcpt=rfc822;user@example.test", 38);
    put_record(&made, 'R', "user@example.test", 17);
    put_record(&made, 'M', "", 0);
    put_record(&made, 'N', "Subject: T1 2", 13);
    return made;
}

static inline void put_postfix(const char *name, long bytes, int64_t arrived, const char *sender)
{
    struct records_made made = postfix_file(bytes, arrived, sender);
    spool_put(name, made.bytes, made.length, 0700);
}

#endif
