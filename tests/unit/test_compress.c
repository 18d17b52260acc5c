/* exporter/serve/compress.c: what comes out is one gzip file that holds what went in, of any length. */
#include "exporter/serve/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { GZIP_ONLY = MAX_WBITS + 16 };

/* Unpacks with all that is there; returns the length that came out. */
static size_t unpack(const char *compressed, size_t length, char *bytes, size_t size)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)compressed, .avail_in = (uInt)length};
    assert_int_equal(inflateInit2(&stream, GZIP_ONLY), Z_OK);
    stream.next_out = (Bytef *)bytes;
    stream.avail_out = (uInt)size;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(inflateEnd(&stream), Z_OK);
    return stream.total_out;
}

static void check(const char *bytes, size_t length)
{
    size_t compressed_length = 0;
    char *compressed = compress_gzip(bytes, length, &compressed_length);
    char *again = malloc(length + 1);
    assert_non_null(compressed);
    assert_non_null(again);
    assert_int_equal(unpack(compressed, compressed_length, again, length + 1), length);
    assert_memory_equal(again, bytes, length);
    free(again);
    free(compressed);
}

static void test_lengths(void **state)
{
    (void)state;
    enum { MOST = 300000 };
    char *text = malloc(MOST), *noise = malloc(MOST);
    uint32_t random = 1;
    assert_non_null(text);
    assert_non_null(noise);
    for (size_t i = 0; i < MOST; i++) {
        random = random * 1664525 + 1013904223;
        noise[i] = (char)(random >> 24);
        text[i] = "milterscope_messages_total "[i % 27];
    }
    const size_t lengths[] = {0, 1, 2, 1023, 1024, 65535, 65536, MOST};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        check(text, lengths[i]);
        check(noise, lengths[i]); /* grows */
    }
    free(text);
    free(noise);
}

static void test_it_becomes_smaller(void **state)
{
    (void)state;
    size_t length = 0;
    char text[10000];
    memset(text, 'x', sizeof text);
    char *compressed = compress_gzip(text, sizeof text, &length);
    assert_non_null(compressed);
    assert_in_range(length, 1, 200);
    free(compressed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lengths), cmocka_unit_test(test_it_becomes_smaller)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
