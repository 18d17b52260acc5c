/* A walk along a path, with a loop over a directory for each of its parts that has an asterisk. */
#include "exporter/collect/queue_pattern.h"

#include "exporter/collect/collector.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <string.h>

enum { LOOK_EVERY = 64 }; /* entries between two looks at the clocks */

struct search {
    const struct queue_time *until;
    queue_take *take;
    void *context;
    unsigned entries;
    unsigned depth;
    bool all;                    /* nothing was left out */
    bool ended;                  /* no more is to be looked for */
    char path[QUEUE_PATH_BYTES]; /* that is looked at */
};

static void leave_out(struct search *search)
{
    search->all = false;
}

static void hand_out(struct search *search, enum queue_found found)
{
    search->ended = !search->take(search->context, search->path, found);
}

static bool has_time(struct search *search)
{
    if (search->entries++ % LOOK_EVERY != 0)
        return true;
    struct queue_time now = queue_time_now();
    return now.wall < search->until->wall && now.cpu < search->until->cpu &&
           !atomic_load_explicit(&collectors_end, memory_order_relaxed);
}

/* Puts a piece behind the first `length` bytes of the path; where it is too long that is left out, and 0 returned. */
static size_t append(struct search *search, size_t length, const char *piece, size_t bytes)
{
    if (length + bytes >= sizeof search->path) {
        leave_out(search);
        return 0;
    }
    memcpy(search->path + length, piece, bytes);
    search->path[length + bytes] = '\0';
    return length + bytes;
}

/* What could not be looked at: it may be a queue, or there is none. */
static void meet(struct search *search, int error, bool is_first)
{
    bool is_missing = error == ENOENT || error == ENOTDIR || error == ELOOP;
    if (error == EACCES || error == EPERM)
        hand_out(search, queue_found_closed);
    else if (is_missing && is_first)
        hand_out(search, queue_found_nothing);
    else if (!is_missing)
        leave_out(search);
}

static void look_at_end(struct search *search)
{
    struct stat status;
    if (stat(search->path, &status) != 0)
        meet(search, errno, false);
    else if (S_ISDIR(status.st_mode))
        hand_out(search, queue_found_directory);
}

/* The directory of which a part of the pattern is to be looked for. */
static DIR *open_directory(struct search *search)
{
    if (search->depth >= QUEUE_PATTERN_DEPTH_MAX) {
        leave_out(search);
        return NULL;
    }
    DIR *directory = opendir(search->path);
    if (directory == NULL)
        meet(search, errno, search->depth == 0);
    return directory;
}

/* For fnmatch(3), to which more than an asterisk is special. */
static void write_part(const char *part, size_t length, char escaped[2 * QUEUE_PATH_BYTES])
{
    for (size_t i = 0; i < length && i < QUEUE_PATH_BYTES - 1; i++) {
        if (strchr("?[\\", part[i]) != NULL)
            *escaped++ = '\\';
        *escaped++ = part[i];
    }
    *escaped = '\0';
}

static const struct dirent *next_entry(struct search *search, DIR *directory)
{
    errno = 0;
    const struct dirent *entry = readdir(directory);
    if (entry == NULL && errno != 0)
        leave_out(search);
    return entry;
}

static bool may_be_directory(const struct dirent *entry)
{
    return entry->d_type == DT_DIR || entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN;
}

static void find(struct search *search, size_t length, const char *rest);

/* `part`, of so many bytes, has an asterisk; in the path is the directory, with the slash at its end. */
static void find_part(struct search *search, size_t length, const char *part, size_t bytes)
{
    char escaped[2 * QUEUE_PATH_BYTES];
    DIR *directory = open_directory(search);
    if (directory == NULL)
        return;
    write_part(part, bytes, escaped);
    search->depth++;
    for (const struct dirent *entry; !search->ended && (entry = next_entry(search, directory)) != NULL;) {
        if (!has_time(search)) {
            leave_out(search);
            search->ended = true;
        } else if (may_be_directory(entry) && fnmatch(escaped, entry->d_name, FNM_PERIOD) == 0) {
            size_t whole = append(search, length, entry->d_name, strlen(entry->d_name));
            if (whole > 0)
                find(search, whole, part + bytes);
        }
    }
    search->depth--;
    closedir(directory);
}

/* Up to the next part with an asterisk the path is as the pattern says. */
static void find(struct search *search, size_t length, const char *rest)
{
    size_t plain = strcspn(rest, "*");
    bool is_end = rest[plain] == '\0';
    while (!is_end && plain > 0 && rest[plain - 1] != '/')
        plain--;
    length = append(search, length, rest, plain);
    if (length == 0)
        return;
    if (is_end)
        look_at_end(search);
    else
        find_part(search, length, rest + plain, strcspn(rest + plain, "/"));
}

bool queue_pattern_find(const char *pattern, const struct queue_time *until, queue_take *take, void *context)
{
    struct search search = {.until = until, .take = take, .context = context, .all = true};
    find(&search, 0, pattern);
    return search.all;
}
