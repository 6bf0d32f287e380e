// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU counters: the hot path of every zap adds one, so no shared line. It
 * does so in rust/sys/counters.rs, without a call.
 */
#include <linux/percpu.h>

#include <ptreclaim/shim.h>

DEFINE_PER_CPU(u64[PTR_MAX_OUTCOMES], ptr_counters);

u64 ptr_shim_counted(unsigned int outcome)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(ptr_counters[outcome], cpu);
	return sum;
}
