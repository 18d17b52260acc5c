/* Fuzzes the tally that another build left: the input is the file, as it is and under right checksums. What is believed to be sound is read to
 * its last byte, looked at, and taken over into a new tally, which must be sound and lose no total that both know. */
#include "tests/unit/tally_form.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/milterscope-fuzz-XXXXXX";
static char link_path[64];
static int fd = -1;

static void clean_up(void)
{
    unlink(link_path);
    rmdir(folder);
}

/* A folder in which the tally is a link to the memory file. */
static void set_up(void)
{
    char target[32];
    fd = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(target, sizeof target, "/proc/self/fd/%d", fd);
    if (fd < 0 || mkdtemp(folder) == NULL)
        abort();
    snprintf(link_path, sizeof link_path, "%s/%s", folder, TALLY_FILE);
    if (symlink(target, link_path) != 0 || atexit(clean_up) != 0)
        abort();
}

static void add(void *context, const char *name, uint64_t value)
{
    *(uint64_t *)context += strlen(name) + value;
}

static void look(const struct tally_header *header, size_t size)
{
    struct snapshot snapshot;
    struct failure failure;
    uint64_t sum = 0;
    char id[33];
    if (ftruncate(fd, 0) != 0 || pwrite(fd, header, size, 0) != (ssize_t)size)
        abort();
    struct tally_view *view = tally_view_open(folder, &failure);
    bool sound = header->copy_checksum == 0 || header->copy_checksum == tally_file_copy_checksum(header);
    if ((view != NULL) != sound)
        abort();
    if (!sound)
        return;
    if (!tally_view_read(view, &snapshot) || !tally_view_read_kept(view, &snapshot))
        abort();
    tally_view_alive(view);
    tally_view_unknown(view, add, &sum);
    tally_view_id(view, id);
    if (strlen(tally_view_boot_id(view)) >= 40 || tally_view_outdated(view, folder))
        abort();
    if (ftruncate(fd, (off_t)(size / 2)) != 0 || (size / 2 < header->names_at && tally_view_read(view, &snapshot)))
        abort();
    tally_view_close(view);
}

static void take_over(const struct tally_header *header, bool of_this_boot)
{
    static struct own_domains own;
    struct tally_inheritance inheritance = {.from = header, .settling = of_this_boot, .of_this_boot = of_this_boot};
    struct tally tally;
    if (own.count == 0 && own_domains_add(&own, "a.test", "") != NULL)
        abort();
    tally_domains_plan(&inheritance, &own);
    size_t bytes = tally_file_bytes(&inheritance);
    char *memory = calloc(1, bytes); /* not a byte more */
    if (memory == NULL)
        abort();
    struct tally_header *next = (struct tally_header *)(void *)memory;
    tally_file_build(next, &inheritance);
    tally_file_bind(next, &tally);
    if (tally_file_check(next, bytes) != NULL || tally_place_domains(&tally, &own) != 0 || own.list[0].place != 0)
        abort();
    free(memory);
}

static void check(struct tally_header *header, size_t size)
{
    if (tally_file_check(header, size) != NULL)
        return;
    (void)tally_file_copy_checksum(header);
    look(header, size);
    take_over(header, false);
    take_over(header, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fd < 0)
        set_up();
    char *memory = malloc(size + (size == 0));
    if (memory == NULL)
        abort();
    if (size > 0)
        memcpy(memory, data, size);
    struct tally_header *header = (struct tally_header *)(void *)memory;
    check(header, size);
    if (size >= sizeof *header) {
        memcpy(header->magic, "mscope\r\n", sizeof header->magic);
        header->version = TALLY_VERSION;
        header->header_bytes = sizeof *header;
        header->bytes = size;
        if (header->names_at <= size)
            header->names_checksum = form_hash(0xcbf29ce484222325u, memory + header->names_at, size - header->names_at);
        form_seal(header, false);
        check(header, size);
    }
    free(memory);
    return 0;
}
