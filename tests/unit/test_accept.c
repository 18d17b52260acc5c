/* exporter/serve/accept.c: a row for each way of asking that is seen in the field, and for garbage. */
#include "exporter/serve/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define OPENMETRICS "application/openmetrics-text"
#define LONG_64     "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
    const char *accept;
    enum exposition_format format;
} formats[] = {
    {NULL, exposition_text},
    {"", exposition_text},
    {"*/*", exposition_text},
    {"text/plain", exposition_text},
    /* Prometheus 2.42 */
    {OPENMETRICS ";version=1.0.0," OPENMETRICS ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     exposition_openmetrics},
    /* Prometheus 3, without and with its preference for protobuf */
    {OPENMETRICS ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPENMETRICS
                 ";version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
                 "text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
     exposition_openmetrics},
    {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7," OPENMETRICS
     ";version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3",
     exposition_openmetrics},
    /* PrometheusText0.0.4 first in scrape_protocols */
    {"text/plain;version=0.0.4;q=0.5," OPENMETRICS ";version=1.0.0;q=0.4,*/*;q=0.1", exposition_text},
    /* a browser */
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", exposition_text},
    {OPENMETRICS, exposition_openmetrics},
    {"Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.000", exposition_openmetrics},
    {OPENMETRICS ";version=\"1.\\0.0\"", exposition_openmetrics},
    {OPENMETRICS ";version=0.0.1", exposition_text},
    {OPENMETRICS ";version=2.0.0," OPENMETRICS ";version=1.0.0", exposition_openmetrics},
    {OPENMETRICS ";q=0", exposition_text},
    {OPENMETRICS ";q=0.000,*/*", exposition_text},
    {OPENMETRICS ";q=0.001", exposition_openmetrics},
    /* equal weights: what is named first; a wildcard is no name */
    {OPENMETRICS ",text/plain", exposition_openmetrics},
    {"text/plain," OPENMETRICS, exposition_text},
    {"*/*," OPENMETRICS, exposition_openmetrics},
    /* the most exact item gives the weight of text */
    {OPENMETRICS ";q=0.5,text/plain;q=0.1,*/*", exposition_openmetrics},
    {OPENMETRICS ";q=0.5,text/*;q=0.9,*/*;q=0.1", exposition_text},
    {"text/plain;version=1.0.0," OPENMETRICS ";q=0.1", exposition_openmetrics},
    /* garbage, alone and beside what is meant */
    {",", exposition_text},
    {";;;,=,\"", exposition_text},
    {"application/*", exposition_text},
    {OPENMETRICS ";q", exposition_text},
    {OPENMETRICS ";q=", exposition_text},
    {OPENMETRICS ";q=1.001", exposition_text},
    {OPENMETRICS ";q=0.1234", exposition_text},
    {OPENMETRICS ";q=-1", exposition_text},
    {OPENMETRICS ";version=\"1.0.0", exposition_text},
    {OPENMETRICS ";version=\"1.0.0\\", exposition_text},
    {OPENMETRICS " x", exposition_text},
    {LONG_64 "," OPENMETRICS, exposition_openmetrics},
    {OPENMETRICS ";" LONG_64 "=1", exposition_text},
    {"text/plain;q=2," OPENMETRICS ",,", exposition_openmetrics},
};

static void test_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (accept_format(formats[i].accept) != formats[i].format)
            fail_msg("row %zu: %s", i, formats[i].accept);
    }
}

static void test_gzip(void **state)
{
    static const struct {
        const char *accept;
        bool gzip;
    } rows[] = {
        {NULL, false},
        {"", false},
        {"gzip", true},
        {"GZip", true},
        {"x-gzip", true},
        {"deflate, gzip;q=1.0, *;q=0.5", true},
        {"gzip;q=0", false},
        {"identity", false},
        {"identity, gzip", true},
        {"identity, gzip;q=0.5", false},
        {"*", false},
        {"br, deflate", false},
        {"gzip;q=x", false},
        {"gzipped", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (accept_gzip(rows[i].accept) != rows[i].gzip)
            fail_msg("row %zu: %s", i, rows[i].accept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_format), cmocka_unit_test(test_gzip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
