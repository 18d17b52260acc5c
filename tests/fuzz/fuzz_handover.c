/* Fuzzes what comes over the socket pair between the supervisor and its children: the input is packets, each a byte that says how many
 * descriptors come with it, one for its length, and its bytes. Whatever comes, at most one descriptor is handed on, and none stays behind. */
#include "milter/handover.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DESCRIPTORS_MOST = 4 };

static int pair[2], null;

/* The number that the next descriptor would get: it is higher when one was left open. */
static int next_number(void)
{
    int fd = dup(null);
    if (fd < 0)
        abort();
    close(fd);
    return fd;
}

static void send_packet(const uint8_t *bytes, size_t size, unsigned descriptors)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(DESCRIPTORS_MOST * sizeof(int))];
    } control = {.space = {0}};
    struct iovec part = {(void *)(uintptr_t)bytes, size};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    const int fds[DESCRIPTORS_MOST] = {null, null, null, null};
    if (descriptors > 0) {
        packet.msg_control = &control;
        packet.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
        control.header = (struct cmsghdr){CMSG_LEN(descriptors * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), fds, descriptors * sizeof(int));
    }
    if (sendmsg(pair[0], &packet, MSG_DONTWAIT) != (ssize_t)size)
        abort();
}

static void take_packet(const uint8_t *bytes, size_t size, unsigned descriptors)
{
    int fd = -2;
    char message = handover_receive(pair[1], &fd);
    if (message != (size == 0 ? HANDOVER_GONE : (char)bytes[0]) || (fd >= 0) != (descriptors > 0) || fd < -1)
        abort();
    if (fd >= 0)
        close(fd);
    if (handover_receive(pair[1], &fd) != HANDOVER_NOTHING || fd != -1)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (null == 0 && ((null = open("/dev/null", O_RDONLY | O_CLOEXEC)) < 0 ||
                      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0))
        abort();
    int before = next_number();
    while (size >= 2) {
        unsigned descriptors = data[0] % (DESCRIPTORS_MOST + 1);
        size_t length = data[1] < size - 2 ? data[1] : size - 2;
        data += 2;
        send_packet(data, length, descriptors);
        take_packet(data, length, descriptors);
        data += length;
        size -= 2 + length;
    }
    if (next_number() != before)
        abort();
    return 0;
}
