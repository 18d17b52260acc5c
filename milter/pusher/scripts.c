/* The scripts, put into the program by the assembler. */
#include "milter/pusher/scripts.h"

#define INCLUDE(name, file)                                                                                            \
    __asm__(".pushsection .rodata\n.global " #name "\n" #name ":\n.incbin \"" file "\"\n.byte 0\n.popsection\n")
INCLUDE(script_push, "milter/pusher/push.lua");
INCLUDE(script_touch, "milter/pusher/touch.lua");
INCLUDE(script_sets, "milter/pusher/sets.lua");
