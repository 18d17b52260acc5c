/* The question of sock_diag(7): a request, and a program for the kernel that lets through the sockets of our ports alone. The program is
 * made of operations of INET_DIAG_BC_*; each says how far to go on where it holds (`yes`) and where not (`no`), in bytes. Who
 * arrives at the very end is let through, who goes beyond it is not. */
#include "exporter/collect/socket_diag.h"

#include "exporter/collect/clock.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_BYTES = 32 * 1024,
    ANSWER_SECONDS = 5, /* for one answer */
    OPERATION = sizeof(struct inet_diag_bc_op),
    STATES = ((1 << (TCP_CLOSING + 1)) - 1) & ~(1 << TCP_LISTEN)
};

enum label_socket socket_state(unsigned number)
{
    switch (number) {
    case TCP_SYN_RECV:
    case TCP_CLOSING + 1: /* TCP_NEW_SYN_RECV, which the kernel keeps to itself mostly */
        return socket_syn_recv;
    case TCP_ESTABLISHED:
        return socket_established;
    case TCP_FIN_WAIT1:
    case TCP_FIN_WAIT2:
        return socket_fin_wait;
    case TCP_CLOSE_WAIT:
        return socket_close_wait;
    case TCP_TIME_WAIT:
        return socket_time_wait;
    case TCP_LISTEN:
        return socket_COUNT;
    default:
        return socket_other;
    }
}

/* ---- the question ---- */

/* For each port: is it >=? is it <=? then to the end; else on to the next. The last falls through to the end by itself. */
enum { OPERATIONS_A_PORT = 5, PORT_BYTES = OPERATIONS_A_PORT * OPERATION };

struct question {
    struct nlmsghdr head;
    struct inet_diag_req_v2 request;
    struct rtattr filter;
    struct inet_diag_bc_op program[SOCKET_PORTS_MAX * OPERATIONS_A_PORT];
};

static void put_port(struct inet_diag_bc_op *op, uint16_t port, unsigned left, bool is_last)
{
    /* `left`: bytes from here to the end of the program. */
    unsigned next = is_last ? left + OPERATION : PORT_BYTES;
    op[0] = (struct inet_diag_bc_op){INET_DIAG_BC_S_GE, 2 * OPERATION, (uint16_t)next};
    op[1] = (struct inet_diag_bc_op){.no = port};
    op[2] = (struct inet_diag_bc_op){INET_DIAG_BC_S_LE, 2 * OPERATION, (uint16_t)(next - 2 * OPERATION)};
    op[3] = (struct inet_diag_bc_op){.no = port};
    if (!is_last)
        op[4] = (struct inet_diag_bc_op){INET_DIAG_BC_JMP, OPERATION, (uint16_t)(left - 4 * OPERATION)};
}

static void make_question(struct question *question, uint8_t family, const struct socket_ports *ports)
{
    memset(question, 0, sizeof *question);
    unsigned program = ports->count * PORT_BYTES - OPERATION;
    for (unsigned i = 0; i < ports->count; i++)
        put_port(&question->program[i * OPERATIONS_A_PORT], ports->list[i], program - i * PORT_BYTES,
                 i + 1 == ports->count);
    question->filter.rta_type = INET_DIAG_REQ_BYTECODE;
    question->filter.rta_len = (uint16_t)(sizeof question->filter + program);
    question->request.sdiag_family = family;
    question->request.sdiag_protocol = IPPROTO_TCP;
    question->request.idiag_states = STATES;
    question->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    question->head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    question->head.nlmsg_len = (uint32_t)(sizeof question->head + sizeof question->request + question->filter.rta_len);
}

/* ---- the answers ---- */

enum answer { answer_more, answer_done, answer_wrong };

/* Also the end of the answers has the number of an error: where inet_diag is there and tcp_diag is not, it is all that comes. */
static enum answer end_with(const char *body, size_t bytes, int error, struct failure *failure)
{
    memcpy(&error, body, bytes < sizeof error ? bytes : sizeof error);
    if (error == 0)
        return answer_done;
    fail(failure, EX_UNAVAILABLE, "the kernel does not tell of its sockets: %s", strerror(-error));
    return answer_wrong;
}

/* Counts the sockets of one datagram. */
static enum answer take(const char *bytes, size_t length, int64_t counts[socket_COUNT], struct failure *failure)
{
    while (length >= sizeof(struct nlmsghdr)) {
        struct nlmsghdr head;
        struct inet_diag_msg message;
        memcpy(&head, bytes, sizeof head);
        size_t body = head.nlmsg_len - sizeof head;
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > length)
            break;
        if (head.nlmsg_type == NLMSG_DONE)
            return end_with(bytes + sizeof head, body, 0, failure);
        if (head.nlmsg_type == NLMSG_ERROR) /* 0 would be the receipt that nobody asked for */
            return end_with(bytes + sizeof head, body, -EPROTO, failure);
        if (head.nlmsg_type == SOCK_DIAG_BY_FAMILY && body >= sizeof message) {
            memcpy(&message, bytes + sizeof head, sizeof message);
            enum label_socket state = socket_state(message.idiag_state);
            if (state != socket_COUNT)
                counts[state]++;
        }
        size_t whole = NLMSG_ALIGN(head.nlmsg_len);
        bytes += whole < length ? whole : length;
        length -= whole < length ? whole : length;
    }
    return answer_more;
}

static bool ask(int fd, uint8_t family, const struct socket_ports *ports, int64_t end, int64_t counts[socket_COUNT],
                struct failure *failure)
{
    struct question question;
    _Alignas(struct nlmsghdr) char bytes[ANSWER_BYTES];
    make_question(&question, family, ports);
    if (send(fd, &question, question.head.nlmsg_len, 0) < 0)
        return fail(failure, EX_UNAVAILABLE, "the kernel cannot be asked for its sockets: %s", strerror(errno));
    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(failure, EX_UNAVAILABLE, "the kernel does not tell of its sockets: %s", strerror(errno));
        enum answer answer = take(bytes, (size_t)got, counts, failure);
        if (answer != answer_more)
            return answer == answer_done;
        if (clock_ms() > end)
            return fail(failure, EX_UNAVAILABLE, "the kernel did not tell of all its sockets in time");
    }
}

bool socket_diag_count(const struct socket_ports *ports, int64_t deadline_ms, int64_t counts[socket_COUNT],
                       struct failure *failure)
{
    static const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    int64_t end = clock_ms() + deadline_ms;
    memset(counts, 0, socket_COUNT * sizeof counts[0]);
    int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0)
        return fail(failure, EX_UNAVAILABLE, "the kernel cannot be asked for its sockets: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    bool good = ports->count == 0 ||
                (ask(fd, AF_INET, ports, end, counts, failure) && ask(fd, AF_INET6, ports, end, counts, failure));
    close(fd);
    return good;
}
