/* A configuration file for a test: written into a folder of its own under the name test.yaml, and read from there. */
#ifndef TESTS_UNIT_OPTIONS_FILE_H
#define TESTS_UNIT_OPTIONS_FILE_H

#include "conf/lib/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char options_folder[] = "/tmp/milterscope-options-XXXXXX";

static inline int options_set_up(void **state)
{
    (void)state;
    return mkdtemp(options_folder) == NULL || chdir(options_folder) != 0;
}

static inline int options_tear_down(void **state)
{
    (void)state;
    remove("test.yaml");
    return chdir("/") != 0 || rmdir(options_folder) != 0;
}

static inline void options_put(const char *content, size_t length)
{
    FILE *file = fopen("test.yaml", "w");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

/* Reads `content`; returns "" or what is said of it. */
static inline const char *options_try_bytes(const char *content, size_t length, struct settings *settings)
{
    static struct failure failure;
    options_put(content, length);
    failure = (struct failure){EX_OK, ""};
    if (options_read("test.yaml", settings, &failure)) {
        assert_string_equal(failure.text, "");
        return "";
    }
    assert_int_equal(failure.status, EX_CONFIG);
    assert_string_not_equal(failure.text, "");
    return failure.text;
}

static inline const char *options_try(const char *content, struct settings *settings)
{
    return options_try_bytes(content, strlen(content), settings);
}

/* The settings as they are printed; good until the next call but one. */
static inline const char *options_text(const struct settings *settings)
{
    enum { TEXT_BYTES = 32768 };
    static char texts[2][TEXT_BYTES];
    static unsigned turn;
    char *text = texts[turn++ % 2];
    FILE *out = fmemopen(text, TEXT_BYTES, "w");
    assert_non_null(out);
    options_print(out, settings);
    assert_int_equal(fclose(out), 0);
    assert_true(strlen(text) < TEXT_BYTES - 1);
    return text;
}

#endif
