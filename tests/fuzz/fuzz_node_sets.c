/* Fuzzes what the collector hands to the pusher: the input is places in the file (a table or, beyond those, the head, two bytes, a length) and what
 * stands there instead; once under a checksum that is right, once as it is. Whatever it is like, what is taken over can be shown. */
#include "milter/pusher/node_tables.c"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOUR = 490000 };

static struct settings settings;
static struct {
    struct node_sets_head head;
    struct node_sets sets;
} file;

static void require(bool good)
{
    if (!good)
        abort();
}

static void remove_folder(void)
{
    rmdir(settings.run_directory);
}

static void begin(void)
{
    static char folder[] = "/tmp/milterscope-node-sets-XXXXXX";
    if (settings.run_directory[0] != '\0')
        return;
    require(mkdtemp(folder) != NULL);
    strcpy(settings.run_directory, folder);
    atexit(remove_folder);
    settings.top_sets = top_of_deliveries;
}

/* Each table holds as many members as its number says. */
static void fill(void)
{
    const uint64_t counts[top_by_COUNT] = {[top_by_recipients] = 3};
    memset(&file, 0, sizeof file);
    for (unsigned i = 0; i < NODE_SETS_TABLES; i++) {
        struct node_sets_table *table = &file.sets.tables[i];
        struct heavy *heavy = heavy_new(&table->sum, table->entries, NODE_SETS_PLACES);
        require(heavy != NULL);
        table->hour = HOUR - (int64_t)(i % NODE_SETS_HOURS);
        for (unsigned j = 0; j < i; j++)
            heavy_add(heavy, &"member"[j], 6 - j, counts);
        heavy_free(heavy);
    }
}

static void change(const uint8_t *data, size_t size)
{
    while (size >= 4) {
        unsigned table = data[0] % (NODE_SETS_TABLES + 1);
        size_t at = (data[1] | (size_t)data[2] << 8), length = data[3];
        char *begin = (char *)(table < NODE_SETS_TABLES ? (void *)&file.sets.tables[table] : (void *)&file.head);
        size_t room = table < NODE_SETS_TABLES ? sizeof(struct node_sets_table) : sizeof file.head;
        data += 4;
        size -= 4;
        length = length < size ? length : size;
        at %= room;
        memcpy(begin + at, data, length < room - at ? length : room - at);
        data += length;
        size -= length;
    }
}

/* The pusher's look at a file with these bytes. */
static void look(size_t bytes)
{
    char path[SETTINGS_PATH_MAX + sizeof NODE_SETS_FILE + 1];
    snprintf(path, sizeof path, "%s/%s", settings.run_directory, NODE_SETS_FILE);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    require(fd >= 0 && write(fd, &file, bytes) == (ssize_t)bytes && close(fd) == 0);
    memset(&self.stamp, 0, sizeof self.stamp);
    node_tables_look(&settings, (int64_t)HOUR * 3600);
    require(unlink(path) == 0);
}

static void judge(void)
{
    struct sets_table table;
    for (unsigned i = 0; node_tables_table(i, &table); i++) {
        if (table.hour == 0)
            continue;
        require(table.hour == HOUR || table.hour == HOUR - 1);
        require(table.sum->used <= NODE_SETS_PLACES);
        heavy_least(table.heavy);
        for (unsigned j = 0; j < table.sum->used; j++)
            require(top_is_member(table.entries[j].member, table.entries[j].length));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    begin();
    fill();
    node_sets_describe(&file.head, &file.sets);
    change(data, size);
    look(size > 0 && data[size - 1] == 0 ? sizeof file - size : sizeof file);
    judge();
    node_sets_describe(&file.head, &file.sets);
    look(sizeof file);
    judge();
    return 0;
}
