// SPDX-License-Identifier: GPL-2.0
/* mark N: has mmusan write "mark N" into its report. */
#include <stdlib.h>

int main(int argc, char **argv)
{
	unsigned long number = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;

	asm volatile("mov %0, %%r14; xchg %%r15, %%r15" : : "r" (number) : "r14");
	return 0;
}
