/* The file log.json, in run_directory and state_directory: {"id", "boot", "clean", "memory", "positions": {source: position}, "totals":
 * {series: number}}. By names, so that another version takes over what it knows. Beside it the memory, as it lies there, in one of two
 * files: the one whose checksum, over itself and the catalogue of the build, log.json names. The next memory goes to the other one, so that
 * what is named is there whenever we are killed. */
#include "exporter/collect/log_store.h"

#include "conf/lib/fnv1a.h"
#include "conf/lib/tally_file.h"
#include "exporter/collect/saved_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <unistd.h>

/* So often to the disk: it is large, and after a power failure an older one will do. */
enum { MEMORY_MS = 60 * 1000 };

#define FILE_NAME  "log.json"
#define ONE_NAME   "log.memory.0"
#define OTHER_NAME "log.memory.1"

enum folder { folder_run, folder_state, folder_COUNT };

static const char *const memory_names[] = {ONE_NAME, OTHER_NAME};

struct log_store {
    const struct settings *settings;
    struct tally counting;
    _Atomic uint64_t totals[total_COUNT];
    uint64_t id[2];
    json_t *positions;
    void *memory; /* of the parsers, and the open sets; NULL: not asked for */
    size_t memory_bytes;
    uint64_t build;                  /* a hash of version and catalogue: memory of another one is none */
    uint64_t checksum[folder_COUNT]; /* of the memory that log.json of this folder names; 0: none */
    unsigned number[folder_COUNT];   /* which of the two files that is */
    int64_t memory_saved_ms;         /* to the disk; 0: not yet */
};

static const char *path_of(const struct log_store *store, enum folder folder)
{
    return folder == folder_run ? store->settings->run_directory : store->settings->state_directory;
}

/* ---- reading ---- */

/* The text in the file is believed as far as it can be true; false: it is nothing of ours. */
static bool read_id(const char *text, uint64_t id[2])
{
    return text != NULL && strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32 &&
           sscanf(text, "%16" SCNx64 "%16" SCNx64, &id[0], &id[1]) == 2;
}

static void take_totals(struct log_store *store, json_t *totals)
{
    const char *name;
    json_t *value;
    json_object_foreach(totals, name, value)
    {
        int total = catalogue_find_total(name, strlen(name));
        json_int_t number = json_integer_value(value);
        if (total >= (int)total_node && number >= 0 && number < INT64_C(1) << 62)
            atomic_store(&store->totals[total], (uint64_t)number);
    }
}

static json_t *load(const char *directory, struct failure *warning)
{
    char path[PATH_MAX];
    json_error_t error;
    uint64_t id[2];
    snprintf(path, sizeof path, "%s/%s", directory, FILE_NAME);
    if (access(path, F_OK) != 0)
        return NULL;
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (file != NULL && read_id(json_string_value(json_object_get(file, "id")), id) &&
        json_string_value(json_object_get(file, "boot")) != NULL && json_is_object(json_object_get(file, "totals")) &&
        json_is_object(json_object_get(file, "positions")))
        return file;
    fail(warning, EX_DATAERR, "%s: %s; what it held is lost", path, file == NULL ? error.text : "is not whole");
    json_decref(file);
    return NULL;
}

static bool is_of_boot(json_t *file)
{
    char boot[40];
    tally_file_boot_id(boot);
    return file != NULL && strcmp(json_string_value(json_object_get(file, "boot")), boot) == 0;
}

static void new_id(uint64_t id[2])
{
    if (getrandom(id, 2 * sizeof id[0], 0) != (ssize_t)(2 * sizeof id[0])) {
        id[0] = (uint64_t)getpid();
        id[1] = (uint64_t)tally_clock_ms();
    }
}

static const char *text_in(json_t *file, const char *name)
{
    const char *text = json_string_value(json_object_get(file, name));
    return text == NULL ? "" : text;
}

/* The file of this boot has it all. The one on the disk has, if it was a clean stop; else its positions alone are of use. */
static void inherit(struct log_store *store, struct failure *warning)
{
    json_t *run = load(store->settings->run_directory, warning),
           *saved = load(store->settings->state_directory, warning);
    json_t *from = is_of_boot(run) ? run : saved;
    bool whole = from != NULL && (from == run || json_is_true(json_object_get(from, "clean")));
    store->checksum[folder_run] = store->checksum[folder_state] = strtoull(text_in(from, "memory"), NULL, 16);
    if (from != NULL)
        store->positions = json_incref(json_object_get(from, "positions"));
    if (whole) {
        read_id(json_string_value(json_object_get(from, "id")), store->id);
        take_totals(store, json_object_get(from, "totals"));
    }
    json_decref(run);
    json_decref(saved);
}

/* ---- writing ---- */

static uint64_t checksum_of(const struct log_store *store, const void *memory)
{
    return fnv1a(store->build, memory, store->memory_bytes);
}

static json_t *totals_of(const struct log_store *store)
{
    json_t *totals = json_object();
    for (unsigned i = total_node; totals != NULL && i < total_COUNT; i++) {
        char text[SERIES_TEXT_MAX];
        uint64_t value = atomic_load(&store->totals[i]);
        if (value == 0)
            continue;
        catalogue_total_text(i, text);
        if (json_object_set_new(totals, text, json_integer((json_int_t)value)) != 0) {
            json_decref(totals);
            return NULL;
        }
    }
    return totals;
}

static char *text_of(const struct log_store *store, bool clean, uint64_t checksum)
{
    char id[33], boot[40], memory[17];
    snprintf(id, sizeof id, "%016" PRIx64 "%016" PRIx64, store->id[0], store->id[1]);
    snprintf(memory, sizeof memory, "%016" PRIx64, checksum);
    tally_file_boot_id(boot);
    json_t *file = json_pack("{ss ss sb ss sO so*}", "id", id, "boot", boot, "clean", clean, "memory", memory,
                             "positions", store->positions, "totals", totals_of(store));
    char *text = file == NULL || json_object_get(file, "totals") == NULL ? NULL : json_dumps(file, JSON_INDENT(1));
    json_decref(file);
    return text;
}

static bool save_memory(const struct log_store *store, enum folder folder, uint64_t *checksum, struct failure *failure)
{
    const struct iovec memory = {store->memory, store->memory_bytes};
    const char *name = memory_names[1 - store->number[folder]];
    *checksum = checksum_of(store, store->memory);
    return saved_file_write(path_of(store, folder), name, &memory, 1, folder == folder_state, failure);
}

static bool save_totals(const struct log_store *store, enum folder folder, bool clean, uint64_t checksum,
                        struct failure *failure)
{
    char *text = text_of(store, clean, checksum);
    if (text == NULL)
        return fail(failure, EX_OSERR, "no memory to save what was counted in the log");
    const struct iovec part = {text, strlen(text)};
    bool good = saved_file_write(path_of(store, folder), FILE_NAME, &part, 1, folder == folder_state, failure);
    free(text);
    return good;
}

/* The memory, too, if it `is_due` and there is one. */
static bool save_in(struct log_store *store, enum folder folder, bool clean, bool is_due, struct failure *failure)
{
    const bool has_memory = is_due && store->memory != NULL;
    uint64_t checksum = store->checksum[folder];
    if ((has_memory && !save_memory(store, folder, &checksum, failure)) ||
        !save_totals(store, folder, clean, checksum, failure))
        return false;
    store->number[folder] = has_memory ? 1 - store->number[folder] : store->number[folder];
    store->checksum[folder] = checksum;
    return true;
}

/* ---- life ---- */

struct log_store *log_store_open(const struct settings *settings, struct failure *warning, struct failure *failure)
{
    struct failure unmarked;
    struct log_store *store = calloc(1, sizeof *store);
    warning->text[0] = '\0';
    if (store == NULL) {
        fail(failure, EX_OSERR, "no memory");
        return NULL;
    }
    store->settings = settings;
    store->counting.totals = store->totals;
    store->build = fnv1a(catalogue_hash(), MILTERSCOPE_VERSION, sizeof MILTERSCOPE_VERSION);
    new_id(store->id);
    inherit(store, warning);
    if (store->positions == NULL)
        store->positions = json_object();
    if (!log_store_save(store, false,
                        &unmarked)) { /* it would be gone on with after a power failure, as if it were all */
        fail(warning, EX_IOERR, "%s; totals of the log begin at 0", unmarked.text);
        new_id(store->id);
        for (unsigned i = 0; i < total_COUNT; i++)
            atomic_store(&store->totals[i], 0);
    }
    save_in(store, folder_run, false, true, &unmarked); /* else said by the first commit */
    return store;
}

void log_store_close(struct log_store *store)
{
    json_decref(store->positions);
    free(store->memory);
    free(store);
}

/* ---- in memory ---- */

const uint64_t *log_store_id(const struct log_store *store)
{
    return store->id;
}

void log_store_totals(const struct log_store *store, uint64_t *totals)
{
    for (unsigned i = 0; i < total_COUNT; i++)
        totals[i] = atomic_load(&store->totals[i]);
}

const struct tally *log_store_counting(const struct log_store *store)
{
    return &store->counting;
}

const char *log_store_position(const struct log_store *store, const char *source)
{
    return json_string_value(json_object_get(store->positions, source));
}

bool log_store_set_position(struct log_store *store, const char *source, const char *position)
{
    return json_object_set_new(store->positions, source, json_string(position)) == 0;
}

bool log_store_forget_others(struct log_store *store, bool (*is_used)(const void *context, const char *source),
                             const void *context)
{
    const char *source;
    json_t *position;
    void *next;
    size_t before = json_object_size(store->positions);
    json_object_foreach_safe(store->positions, next, source, position)
    {
        if (!is_used(context, source))
            json_object_del(store->positions, source);
    }
    return json_object_size(store->positions) < before;
}

/* ---- the memory of parsers ---- */

/* Is the file the one that goes with what was taken over? Else the memory is left as it is. */
static bool load_file(struct log_store *store, enum folder folder, unsigned number)
{
    size_t bytes = store->memory_bytes;
    char path[PATH_MAX], *content = malloc(bytes + 1);
    snprintf(path, sizeof path, "%s/%s", path_of(store, folder), memory_names[number]);
    int fd = content == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool good = fd >= 0 && read(fd, content, bytes + 1) == (ssize_t)bytes &&
                checksum_of(store, content) == store->checksum[folder];
    if (good)
        memcpy(store->memory, content, bytes);
    if (fd >= 0)
        close(fd);
    free(content);
    return good;
}

/* Wherever it is: after a boot run_directory holds a log.json, made when the store was opened, before it holds a memory. */
static void load_memory(struct log_store *store)
{
    for (unsigned i = 0; i < folder_COUNT * 2; i++) {
        if (load_file(store, i / 2, i % 2))
            store->number[i / 2] = i % 2;
    }
}

void *log_store_memory(struct log_store *store, size_t bytes)
{
    if (store->memory != NULL)
        return store->memory;
    store->memory = calloc(1, bytes);
    store->memory_bytes = bytes;
    if (store->memory != NULL)
        load_memory(store);
    return store->memory;
}

bool log_store_commit(struct log_store *store, const struct tally *node, struct failure *failure)
{
    if (!save_in(store, folder_run, false, true, failure))
        return false; /* seen now, they would step back after a kill, under the same tally id */
    for (unsigned i = total_node; i < total_COUNT; i++)
        atomic_store_explicit(&node->totals[i], atomic_load(&store->totals[i]), memory_order_relaxed);
    return true;
}

bool log_store_save(struct log_store *store, bool clean, struct failure *failure)
{
    int64_t now_ms = tally_clock_ms();
    bool is_due = clean || store->memory_saved_ms == 0 || now_ms - store->memory_saved_ms >= MEMORY_MS;
    if (!save_in(store, folder_state, clean, is_due, failure))
        return false;
    if (is_due && store->memory != NULL)
        store->memory_saved_ms = now_ms;
    return true;
}
