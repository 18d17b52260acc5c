/* The scripts, put into the program by the assembler, and what is wrong with an answer. */
#include "milter/pusher/scripts.h"

#define INCLUDE(name, file)                                                                                            \
    __asm__(".pushsection .rodata\n.global " #name "\n" #name ":\n.incbin \"" file "\"\n.byte 0\n.popsection\n")
INCLUDE(script_push, "milter/pusher/push.lua");
INCLUDE(script_touch, "milter/pusher/touch.lua");
INCLUDE(script_sets, "milter/pusher/sets.lua");
INCLUDE(script_history, "milter/pusher/history.lua");

enum label_error script_error(const struct redis_reply *reply, const char **text)
{
    bool is_error = redis_reply_kind(reply) == redis_error_reply;
    *text = is_error ? redis_reply_text(reply, NULL) : "an answer that no script of ours gives";
    return is_error ? redis_classify(*text) : error_protocol;
}
