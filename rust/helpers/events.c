// SPDX-License-Identifier: GPL-2.0
/* The tracepoints, which rust/sys/events.rs calls. */
#include <linux/mm_types.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include <trace/events/ptreclaim.h>

pid_t ptr_shim_mm_pid(struct mm_struct *mm)
{
	pid_t pid = 0;
#ifdef CONFIG_MEMCG
	struct task_struct *owner;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	if (owner)
		pid = owner->tgid;
	rcu_read_unlock();
#endif
	return pid;
}
