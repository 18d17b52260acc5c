/* The page for people at /: what this is, where its values come from, the main figures. Plain HTML, one style, nothing loaded. */
#ifndef EXPORTER_SERVE_PAGE_H
#define EXPORTER_SERVE_PAGE_H

#include "exporter/serve/source.h"

#include <stdio.h>

/* What the page may load: nothing, and only its own style may apply, which is named by its hash. */
#define PAGE_SECURITY_POLICY                                                                                           \
    "default-src 'none'; style-src 'sha256-vAOdd51ujg/mlxvXtqeTsd7oMtYWelYkzuLr8kPH7qo='; base-uri 'none'; "           \
    "form-action 'none'; frame-ancestors 'none'"

struct tops;

/* `tops` NULL: without top lists. */
void page_write(FILE *out, const char *instance, const struct view *view, struct tops *tops);

#endif
