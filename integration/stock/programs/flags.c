/* flags CALL FLAGS PATH: what lchflags, chflags or fchflags answer. Darwin only. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int words, char **word)
{
    if (words != 4)
        return 2;
    unsigned int wanted = (unsigned int)strtoul(word[2], NULL, 0);
    int answer;
    errno = 0;
    if (strcmp(word[1], "lchflags") == 0)
        answer = lchflags(word[3], wanted);
    else if (strcmp(word[1], "chflags") == 0)
        answer = chflags(word[3], wanted);
    else
        answer = fchflags(open(word[3], O_RDONLY), wanted);
    int error = errno;
    const char *name = error == ENOTSUP  ? "ENOTSUP"
                       : error == EINVAL ? "EINVAL"
                       : error == ENOENT ? "ENOENT"
                       : error == 0      ? "none"
                                         : "other";
    printf("%d %s\n", answer, name);
    return 0;
}
