/*
 * The corrections by name, and how DARLINGBUILDER_COMPAT chooses among them: names with commas between; unset is all.
 * darlingbuilder/core/shim.py says what each is for. Free of Darwin, so that it is tested natively.
 */
#ifndef DARLINGBUILDER_CORRECTIONS_H
#define DARLINGBUILDER_CORRECTIONS_H

#include <stddef.h>
#include <string.h>

enum correction {
    GETSOCKOPT = 1u << 0,
    PROC_PIDINFO = 1u << 1,
    LCHFLAGS = 1u << 2,
    ACCEPT = 1u << 3,
    POLL = 1u << 4,
    SIGNALS = 1u << 5,
    SPAWN = 1u << 6,
};

static const struct {
    const char *name;
    enum correction correction;
} CORRECTIONS[] = {
    {"getsockopt", GETSOCKOPT}, {"proc_pidinfo", PROC_PIDINFO}, {"lchflags", LCHFLAGS}, {"accept", ACCEPT},
    {"poll", POLL},             {"signals", SIGNALS},           {"spawn", SPAWN},
};

enum { CORRECTION_COUNT = sizeof CORRECTIONS / sizeof CORRECTIONS[0] };

/* A name that is not known chooses nothing: it is that of a newer darlingbuilder. */
static unsigned correction_named(const char *name, size_t length)
{
    for (int i = 0; i < CORRECTION_COUNT; i++)
        if (strlen(CORRECTIONS[i].name) == length && memcmp(CORRECTIONS[i].name, name, length) == 0)
            return CORRECTIONS[i].correction;
    return 0;
}

static unsigned corrections_chosen(const char *list)
{
    unsigned chosen = 0;
    if (list == NULL)
        return (1u << CORRECTION_COUNT) - 1;
    for (;;) {
        size_t length = strcspn(list, ",");
        chosen |= correction_named(list, length);
        if (list[length] == '\0')
            return chosen;
        list += length + 1;
    }
}

#endif
