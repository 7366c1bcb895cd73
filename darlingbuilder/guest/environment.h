/*
 * Keeps the shim out of a program's environment, and puts it into that of what the program starts. Nothing here
 * allocates: it runs between fork and exec. Free of Darwin, so that it is tested natively.
 *
 * Of DYLD_INSERT_LIBRARIES the shim's own entry alone is hidden: what else a program finds or sets there is its own.
 */
#ifndef DARLINGBUILDER_ENVIRONMENT_H
#define DARLINGBUILDER_ENVIRONMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define INSERT_LIBRARIES "DYLD_INSERT_LIBRARIES="
#define COMPAT "DARLINGBUILDER_COMPAT="
/* From the shim to itself: a hexadecimal mask of the signals that the next program finds ignored. */
#define IGNORED "DARLINGBUILDER_IGNORED="

enum {
    LONGEST_PATH = 1024,
    LONGEST_LIST = 256,
    LONGEST_INSERT = 4096, /* of several libraries */
    MOST_VARIABLES = 4096, /* 32 kB of stack for their list */
    OURS = 3,
};

/* What was hidden, kept by value: a program may overwrite where its environment lay, as sshd does for its title. */
struct hidden {
    char library[LONGEST_PATH]; /* "": this process was not given the shim, so it hands none on */
    char compat[sizeof COMPAT + LONGEST_LIST]; /* the whole variable; "": unset */
    uint32_t ignored;
};

/* An environment to start a program with; lives on the stack of whoever starts it. */
struct passed {
    char *list[MOST_VARIABLES + OURS + 1];
    char insert[sizeof INSERT_LIBRARIES + LONGEST_PATH + LONGEST_INSERT];
    char ignored[sizeof IGNORED + 8];
};

static const char *value_of(const char *variable, const char *name_and_sign)
{
    size_t length = strlen(name_and_sign);
    return strncmp(variable, name_and_sign, length) == 0 ? variable + length : NULL;
}

static const char *environment_get(char *const environment[], const char *name_and_sign)
{
    for (; *environment != NULL; environment++) {
        const char *value = value_of(*environment, name_and_sign);
        if (value != NULL)
            return value;
    }
    return NULL;
}

static const char *last_part(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    return path + length;
}

/* The guest knows a file by several paths (/etc is a link, the host's lie below /Volumes): the last part decides. */
static bool is_library(const char *entry, size_t length, const char *path)
{
    const char *own = last_part(path, strlen(path)), *name = last_part(entry, length);
    size_t rest = (size_t)(entry + length - name);
    return rest > 0 && rest == strlen(own) && memcmp(name, own, rest) == 0;
}

/* Gives the entry of a colon-separated list that is the library, and its length; NULL if none is. */
static const char *find_library(const char *list, const char *path, size_t *length)
{
    for (;; list += *length + 1) {
        *length = strcspn(list, ":");
        if (is_library(list, *length, path))
            return list;
        if (list[*length] == '\0')
            return NULL;
    }
}

static void cut(char *list, const char *entry, size_t length)
{
    char *from = list + (entry - list);
    char *behind = from + length;
    if (*behind == ':')
        behind++;
    else if (from > list)
        from--; /* the last one goes with the colon before it */
    memmove(from, behind, strlen(behind) + 1);
}

static void drop(char **environment)
{
    for (; *environment != NULL; environment++)
        environment[0] = environment[1];
}

/* Takes the library out of one DYLD_INSERT_LIBRARIES. Says whether nothing is left in it. */
static bool hide_library(char *variable, const char *path, struct hidden *hidden)
{
    char *list = variable + strlen(INSERT_LIBRARIES);
    size_t length;
    const char *entry = find_library(list, path, &length);
    if (entry == NULL || length >= sizeof hidden->library)
        return false;
    memcpy(hidden->library, entry, length);
    hidden->library[length] = '\0';
    cut(list, entry, length);
    return *list == '\0';
}

static bool hide_compat(const char *variable, struct hidden *hidden)
{
    size_t size = strlen(variable) + 1;
    if (size > sizeof hidden->compat)
        return false; /* no list of ours: it stays where it is, and is inherited as any variable is */
    memcpy(hidden->compat, variable, size);
    return true;
}

static uint32_t mask_from(const char *hexadecimal)
{
    uint32_t mask = 0;
    for (; *hexadecimal != '\0'; hexadecimal++) {
        const char *digits = "0123456789abcdef", *digit = strchr(digits, *hexadecimal);
        if (digit == NULL)
            return 0;
        mask = mask << 4 | (uint32_t)(digit - digits);
    }
    return mask;
}

/* Takes out of the environment, where it lies, what starts with the shim; path is where the shim was loaded from. */
static void environment_hide(char **environment, const char *path, struct hidden *hidden)
{
    while (*environment != NULL) {
        const char *ignored = value_of(*environment, IGNORED);
        bool gone = ignored != NULL;
        if (ignored != NULL)
            hidden->ignored = mask_from(ignored);
        else if (value_of(*environment, COMPAT) != NULL)
            gone = hide_compat(*environment, hidden);
        else if (value_of(*environment, INSERT_LIBRARIES) != NULL)
            gone = hide_library(*environment, path, hidden);
        if (gone)
            drop(environment);
        else
            environment++;
    }
}

static char *append(char *end, const char *text)
{
    size_t length = strlen(text);
    memcpy(end, text, length + 1);
    return end + length;
}

/* Writes DYLD_INSERT_LIBRARIES with the shim before the program's own libraries, unless it is among them already. */
static char *write_insert(struct passed *passed, const char *library, const char *others)
{
    char *end = append(passed->insert, INSERT_LIBRARIES);
    size_t length;
    if (others == NULL || *others == '\0') {
        append(end, library);
    } else if (find_library(others, library, &length) != NULL) {
        append(end, others);
    } else {
        append(append(append(end, library), ":"), others);
    }
    return passed->insert;
}

static char *write_ignored(struct passed *passed, uint32_t mask)
{
    char *end = append(passed->ignored, IGNORED);
    for (int shift = 28; shift >= 0; shift -= 4)
        *end++ = "0123456789abcdef"[mask >> shift & 15];
    *end = '\0';
    return passed->ignored;
}

/* How many of the environment's variables there are; more than can be passed on if it is larger than we can. */
static int count_variables(char *const environment[])
{
    int count = 0;
    while (count <= MOST_VARIABLES && environment[count] != NULL)
        count++;
    return count;
}

/*
 * Gives the environment with the shim added: in passed, or the very same if this process has no shim to hand on or if
 * it is beyond the bounds above (what is started is then not corrected). A DARLINGBUILDER_COMPAT of the program's own
 * stands. NULL is an empty environment, as it is for XNU.
 */
static char **environment_with_shim(const struct hidden *hidden, char *const environment[], uint32_t ignored,
                                    struct passed *passed)
{
    static char *const EMPTY[] = {NULL};
    char *const *given = environment != NULL ? environment : EMPTY;
    const char *others = environment_get(given, INSERT_LIBRARIES);
    bool own_choice = environment_get(given, COMPAT) != NULL;
    int count = 0;

    if (hidden->library[0] == '\0' || count_variables(given) > MOST_VARIABLES)
        return (char **)environment;
    if (others != NULL && strlen(others) >= LONGEST_INSERT)
        return (char **)environment;
    for (; *given != NULL; given++)
        if (value_of(*given, INSERT_LIBRARIES) == NULL && value_of(*given, IGNORED) == NULL)
            passed->list[count++] = *given;
    passed->list[count++] = write_insert(passed, hidden->library, others);
    if (hidden->compat[0] != '\0' && !own_choice)
        passed->list[count++] = (char *)hidden->compat;
    if (ignored != 0)
        passed->list[count++] = write_ignored(passed, ignored);
    passed->list[count] = NULL;
    return passed->list;
}

#endif
