/* The least that a guest must be able to run. */
#include <stdio.h>

int main(void)
{
    puts("hello");
    return 0;
}
