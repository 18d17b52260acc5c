/* exporter/collect/sockets.c, socket_diag.c and socket_table.c: real connections in each state, as the kernel tells of them both ways;
 * tables made up. */
#include "exporter/collect/socket_diag.h"
#include "exporter/collect/sockets.h"
#include "tests/unit/collect_stage.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

enum { DEADLINE_MS = 60 * 1000 };

struct listener {
    int fd;
    struct sockaddr_in6 address;
    socklen_t bytes;
    uint16_t port;
};

static void begin_listening(struct listener *listener, int family, int backlog)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&listener->address;
    memset(&listener->address, 0, sizeof listener->address);
    listener->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener->fd >= 0);
    listener->bytes = family == AF_INET ? sizeof *v4 : sizeof listener->address;
    listener->address.sin6_family = (sa_family_t)family;
    if (family == AF_INET)
        v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    else
        listener->address.sin6_addr = in6addr_loopback;
    assert_int_equal(bind(listener->fd, (struct sockaddr *)&listener->address, listener->bytes), 0);
    assert_int_equal(listen(listener->fd, backlog), 0);
    assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&listener->address, &listener->bytes), 0);
    listener->port = ntohs(family == AF_INET ? v4->sin_port : listener->address.sin6_port);
}

static int connect_to(const struct listener *listener)
{
    int fd = socket(listener->address.sin6_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&listener->address, listener->bytes), 0);
    return fd;
}

/* A connection, from both sides. */
struct pair {
    int client, server;
};

static struct pair make_pair(const struct listener *listener)
{
    struct pair pair = {.client = connect_to(listener)};
    pair.server = accept(listener->fd, NULL, NULL);
    assert_true(pair.server >= 0);
    return pair;
}

static void wait_for_end(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 0);
}

/* Counts both ways until they say what is expected: a state may follow a moment after what brings it about. */
static void expect_counts(const struct socket_ports *ports, const int64_t expected[socket_COUNT])
{
    int64_t counts[2][socket_COUNT];
    time_t end = time(NULL) + 60;
    do {
        assert_true(socket_diag_count(ports, DEADLINE_MS, counts[0], &stage.failure));
        assert_true(socket_table_count("/proc/net", ports, DEADLINE_MS, counts[1], &stage.failure));
        if (memcmp(counts[0], expected, sizeof counts[0]) == 0 && memcmp(counts[1], expected, sizeof counts[1]) == 0)
            return;
        poll(NULL, 0, 5);
    } while (time(NULL) < end);
    for (int state = 0; state < socket_COUNT; state++)
        print_error("state %d: %d by diagnosis, %d in the table, not %d\n", state, (int)counts[0][state],
                    (int)counts[1][state], (int)expected[state]);
    fail_msg("counts of sockets");
}

static void check_states(int family)
{
    struct listener listener;
    int64_t expected[socket_COUNT] = {0};
    begin_listening(&listener, family, 16);
    const struct socket_ports ports = {.count = 3, .list = {1, listener.port, 65535}};
    expect_counts(&ports, expected);

    struct pair open[3] = {make_pair(&listener), make_pair(&listener), make_pair(&listener)};
    expected[socket_established] = 3;
    expect_counts(&ports, expected);

    shutdown(open[0].server, SHUT_WR);
    wait_for_end(open[0].client);
    close(open[1].client);
    wait_for_end(open[1].server);
    expected[socket_established] = 1;
    expected[socket_fin_wait] = 1;
    expected[socket_close_wait] = 1;
    expect_counts(&ports, expected);

    close(open[0].server);
    close(open[0].client);
    expected[socket_fin_wait] = 0;
    expected[socket_time_wait] = 1;
    expect_counts(&ports, expected);

    int seconds = 60; /* a connection without data stays half open */
    assert_int_equal(setsockopt(listener.fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds), 0);
    int half = connect_to(&listener);
    expected[socket_syn_recv] = 1;
    expect_counts(&ports, expected);

    close(half);
    close(open[1].server);
    close(open[2].client);
    close(open[2].server);
    close(listener.fd);
}

static void test_ipv4(void **state)
{
    (void)state;
    check_states(AF_INET);
}

static void test_ipv6(void **state)
{
    (void)state;
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    bool has = probe >= 0 && bind(probe, (struct sockaddr *)&loopback, sizeof loopback) == 0;
    close(probe);
    if (!has)
        skip();
    check_states(AF_INET6);
}

/* A socket that sends from our port and is not answered: none of the states that have a name. */
static void test_other(void **state)
{
    struct listener full, ours;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t expected[socket_COUNT] = {[socket_other] = 1};
    int fillers[8];
    (void)state;
    begin_listening(&full, AF_INET, 0);
    begin_listening(&ours, AF_INET, 1);
    close(ours.fd);
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(fillers[i], (struct sockaddr *)&full.address, full.bytes);
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    local.sin_port = htons(ours.port);
    assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof local), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&full.address, full.bytes), -1);
    expect_counts(&(struct socket_ports){.count = 1, .list = {ours.port}}, expected);
    close(fd);
    for (int i = 0; i < 8; i++)
        close(fillers[i]);
    close(full.fd);
}

/* As many ports as there can be, ours at each place once, and without ours: both ways count the same, and ours where it is. Whatever
 * this host has at the ports beside it may come and go meanwhile. */
static void test_ports(void **state)
{
    struct listener listener;
    int64_t counts[2][socket_COUNT];
    (void)state;
    begin_listening(&listener, AF_INET, 16);
    struct pair pair = make_pair(&listener);
    for (unsigned place = 0; place <= SOCKET_PORTS_MAX; place++) {
        struct socket_ports ports = {.count = SOCKET_PORTS_MAX};
        for (unsigned i = 0; i < SOCKET_PORTS_MAX; i++)
            ports.list[i] = (uint16_t)(i % 2 == 0 ? listener.port - 1 - i : listener.port + i);
        if (place < SOCKET_PORTS_MAX)
            ports.list[place] = listener.port;
        time_t end = time(NULL) + 60;
        do {
            assert_true(time(NULL) < end);
            assert_true(socket_diag_count(&ports, DEADLINE_MS, counts[0], &stage.failure));
            assert_true(socket_table_count("/proc/net", &ports, DEADLINE_MS, counts[1], &stage.failure));
        } while (counts[0][socket_established] != counts[1][socket_established]);
        assert_true(counts[0][socket_established] >= (place < SOCKET_PORTS_MAX));
        ports.count = 1;
        ports.list[0] = listener.port;
        assert_true(socket_diag_count(&ports, DEADLINE_MS, counts[0], &stage.failure));
        assert_int_equal(counts[0][socket_established], 1);
    }
    assert_true(socket_diag_count(&(struct socket_ports){.count = 0}, DEADLINE_MS, counts[0], &stage.failure));
    assert_int_equal(counts[0][socket_established], 0);
    close(pair.client);
    close(pair.server);
    close(listener.fd);
}

/* ---- tables made up ---- */

#define HEAD            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
#define V4(port, state) "   1: 0100007F:" port " 0200007F:9C40 " state " 00000000:00000000 00:00000000\n"
#define V6(port, state)                                                                                                \
    " 123: 0000000000000000FFFF00000100007F:" port " 0000000000000000FFFF00000100007F:9C40 " state " 00000000:0\n"

static void test_table(void **state)
{
    const struct socket_ports ports = {.count = 2, .list = {25, 587}};
    int64_t counts[socket_COUNT];
    (void)state;
    assert_false(socket_table_count("net", &ports, DEADLINE_MS, counts, &stage.failure));
    stage_put("net/tcp", HEAD V4("0019", "0A") V4("0019", "01") V4("024B", "06") V4("0019", "03") V4("001A", "01")
                             V4("0019", "04") V4("0019", "05") V4("0019", "08") V4("0019", "0B") V4("0019", "0C"));
    assert_true(socket_table_count("net", &ports, DEADLINE_MS, counts, &stage.failure));
    assert_int_equal(counts[socket_established], 1);
    assert_int_equal(counts[socket_time_wait], 1);
    assert_int_equal(counts[socket_syn_recv], 2);
    assert_int_equal(counts[socket_fin_wait], 2);
    assert_int_equal(counts[socket_close_wait], 1);
    assert_int_equal(counts[socket_other], 1);
    stage_put("net/tcp6", HEAD V6("0019", "01") V6("0A19", "01"));
    assert_true(socket_table_count("net", &ports, DEADLINE_MS, counts, &stage.failure));
    assert_int_equal(counts[socket_established], 2);
}

static void test_lines(void **state)
{
    static const char *const wrong[] = {"",
                                        HEAD,
                                        "1: 0100007F:0019",
                                        "1: 0100007F:0019 0200007F:9C40",
                                        "1:",
                                        "1: 0100007F:19 0200007F:9C40 01 ",
                                        "1: 0100007F:00019 0200007F:9C40 01 ",
                                        "1: 0100007F:0019 0200007F:9C40 001 ",
                                        "1: 0100007F:0019 0200007F:9C40 G1 ",
                                        "1: 0100007F0:0019 0200007F:9C40 01 ",
                                        ": 0100007F:0019 0200007F:9C40 01 "};
    uint16_t port;
    unsigned number;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(socket_table_line(wrong[i], &port, &number));
    assert_true(socket_table_line("1: 0100007F:FFfe 0200007F:9C40 01 ", &port, &number));
    assert_int_equal(port, 65534);
    assert_int_equal(number, 1);
}

/* The ports of mta.listeners are counted beside those of SMTP; nothing is absent where the kernel tells of its sockets. */
static void test_collector(void **state)
{
    struct listener listener;
    (void)state;
    begin_listening(&listener, AF_INET, 16);
    stage.settings.mta_listeners.count = 2;
    stage.settings.mta_listeners.list[0].port = 25;
    stage.settings.mta_listeners.list[1].port = listener.port;
    int64_t before[socket_COUNT];
    assert_true(socket_diag_count(&(struct socket_ports){.count = 3, .list = {25, 465, 587}}, DEADLINE_MS, before,
                                  &stage.failure));
    struct pair pair = make_pair(&listener);
    void *self = collect_sockets.open(&stage.settings, &stage.tally, &stage.failure);
    assert_non_null(self);
    assert_gauge(smtp_sockets, socket_established, GAUGE_ABSENT);
    assert_true(collect_sockets.run(self, &stage.failure));
    for (unsigned i = 0; i < socket_COUNT; i++)
        assert_true(stage_gauge((unsigned)gauge_smtp_sockets + i) >= 0);
    assert_in_range(stage_gauge((unsigned)gauge_smtp_sockets + (unsigned)socket_established),
                    before[socket_established] + 1, before[socket_established] + 1000);
    assert_in_range(collect_sockets.pause_ms(self), 15000, 15000 * 50);
    collect_sockets.close(self);
    close(pair.client);
    close(pair.server);
    close(listener.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_ipv4, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_ipv6, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_other, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_ports, stage_set_up, stage_tear_down),
        cmocka_unit_test_setup_teardown(test_table, stage_set_up, stage_tear_down),
        cmocka_unit_test(test_lines),
        cmocka_unit_test_setup_teardown(test_collector, stage_set_up, stage_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
