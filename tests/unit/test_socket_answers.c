/* exporter/collect/socket_diag.c, sockets.c: what the kernel answers where it does not tell of its sockets, and what is done then. */
#include "exporter/collect/socket_diag.c"

#include "exporter/collect/sockets.h"
#include "tests/unit/collect_stage.h"

#include <sys/syscall.h>
#undef fail

static bool is_without_netlink;

/* In place of libc's: a kernel without sock_diag. */
int socket(int family, int type, int protocol)
{
    if (family == AF_NETLINK && is_without_netlink) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, family, type, protocol);
}

struct answers {
    _Alignas(struct nlmsghdr) char bytes[1024];
    size_t length;
};

static void put(struct answers *answers, uint16_t type, const void *body, size_t bytes)
{
    struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_len = (uint32_t)(sizeof head + bytes)};
    memcpy(answers->bytes + answers->length, &head, sizeof head);
    memcpy(answers->bytes + answers->length + sizeof head, body, bytes);
    answers->length += NLMSG_ALIGN(head.nlmsg_len);
}

static void put_socket(struct answers *answers, uint8_t state)
{
    struct inet_diag_msg message = {.idiag_state = state};
    put(answers, SOCK_DIAG_BY_FAMILY, &message, sizeof message);
}

static void test_answers(void **state)
{
    static const struct {
        uint16_t type;
        int error;
        size_t bytes;
        enum answer answer;
        const char *text;
    } ends[] = {{NLMSG_DONE, 0, 4, answer_done, ""},
                {NLMSG_DONE, 0, 0, answer_done, ""},
                {NLMSG_DONE, -ENOENT, 4, answer_wrong, "No such file or directory"},
                {NLMSG_ERROR, -EINVAL, 4, answer_wrong, "Invalid argument"},
                {NLMSG_ERROR, 0, 0, answer_wrong, "Protocol error"},
                {NLMSG_NOOP, 0, 4, answer_more, ""}};
    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct answers answers = {.length = 0};
        int64_t counts[socket_COUNT] = {0};
        struct failure failure = {EX_OK, ""};
        put_socket(&answers, TCP_ESTABLISHED);
        put_socket(&answers, TCP_TIME_WAIT);
        put(&answers, ends[i].type, &ends[i].error, ends[i].bytes);
        assert_int_equal(take(answers.bytes, answers.length, counts, &failure), ends[i].answer);
        assert_int_equal(counts[socket_established] + counts[socket_time_wait], 2);
        assert_int_equal(failure.status != EX_OK, ends[i].answer == answer_wrong);
        assert_non_null(strstr(failure.text, ends[i].text));
    }
}

/* The kernel's table is read then: what it shows is shown, and no 0 for what was not told. */
static void test_fall_back(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof address;
    (void)state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
        client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, bytes) + listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, bytes), 0);
    int server = accept(listener, NULL, NULL);
    stage.settings.mta_listeners.count = 1;
    stage.settings.mta_listeners.list[0].port = ntohs(address.sin_port);
    void *self = collect_sockets.open(&stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    for (is_without_netlink = false;; is_without_netlink = true) {
        assert_true(collect_sockets.run(self, &stage.failure));
        assert_true(stage_gauge((unsigned)gauge_smtp_sockets + (unsigned)socket_established) >= 1);
        assert_true(stage_gauge((unsigned)gauge_smtp_sockets + (unsigned)socket_close_wait) >= 0);
        if (is_without_netlink)
            break;
    }
    assert_non_null(strstr(stage.failure.text, "the kernel cannot be asked for its sockets"));
    is_without_netlink = false;
    collect_sockets.close(self);
    close(server);
    close(client);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test_setup_teardown(test_fall_back, stage_set_up, stage_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
