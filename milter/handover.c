/* Messages between the supervisor and its children. */
#include "milter/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

union descriptor {
    struct cmsghdr header;
    char space[CMSG_SPACE(sizeof(int))];
};

bool handover_send(int control, char message, int fd)
{
    union descriptor descriptor = {.space = {0}};
    struct iovec part = {&message, 1};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        packet.msg_control = &descriptor;
        packet.msg_controllen = sizeof descriptor;
        descriptor.header.cmsg_level = SOL_SOCKET;
        descriptor.header.cmsg_type = SCM_RIGHTS;
        descriptor.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&descriptor.header), &fd, sizeof fd);
    }
    return control >= 0 && sendmsg(control, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

char handover_receive(int control, int *fd)
{
    char message = HANDOVER_NOTHING;
    union descriptor descriptor;
    struct iovec part = {&message, 1};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &descriptor};
    packet.msg_controllen = CMSG_LEN(sizeof *fd); /* room for one: the kernel closes all others */
    *fd = -1;
    ssize_t length = recvmsg(control, &packet, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? HANDOVER_NOTHING : HANDOVER_GONE;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&packet);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(header), sizeof *fd);
    return length == 0 ? HANDOVER_GONE : message;
}

int handover_process(int argc, char *const *argv)
{
    bool number = argc == 2 && *argv[1] != '\0' && strspn(argv[1], "0123456789") == strlen(argv[1]);
    return number && fcntl(HANDOVER_CONTROL, F_GETFD) >= 0 ? atoi(argv[1]) : -1;
}
