/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ptreclaim

#if !defined(_TRACE_PTRECLAIM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PTRECLAIM_H

#include <linux/tracepoint.h>

struct mm_struct;

/* The process of an address space, 0 if that cannot be told. */
pid_t ptr_shim_mm_pid(struct mm_struct *mm);

/* One PTE table: freed, or kept, and how or why: the counters' names. */
DECLARE_EVENT_CLASS(ptreclaim_table,

	TP_PROTO(struct mm_struct *mm, unsigned long addr, const char *why),

	TP_ARGS(mm, addr, why),

	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__string(why, why)
	),

	TP_fast_assign(
		__entry->pid = ptr_shim_mm_pid(mm);
		__entry->addr = addr;
		__assign_str(why);
	),

	TP_printk("pid=%d addr=%#lx %s", __entry->pid, __entry->addr, __get_str(why))
);

/* Unlinked: it is freed after a flush and an RCU grace period. */
DEFINE_EVENT(ptreclaim_table, ptreclaim_freed,
	TP_PROTO(struct mm_struct *mm, unsigned long addr, const char *why),
	TP_ARGS(mm, addr, why)
);

DEFINE_EVENT(ptreclaim_table, ptreclaim_kept,
	TP_PROTO(struct mm_struct *mm, unsigned long addr, const char *why),
	TP_ARGS(mm, addr, why)
);

/* One address space is looked at, or goes on being looked at. */
TRACE_EVENT(ptreclaim_scan_begin,

	TP_PROTO(struct mm_struct *mm, unsigned long addr, const char *by),

	TP_ARGS(mm, addr, by),

	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(unsigned long, addr)
		__string(by, by)
	),

	TP_fast_assign(
		__entry->pid = ptr_shim_mm_pid(mm);
		__entry->addr = addr;
		__assign_str(by);
	),

	TP_printk("pid=%d from=%#lx by=%s", __entry->pid, __entry->addr, __get_str(by))
);

/* ns: how long it took, with whoever had the CPU in between. */
TRACE_EVENT(ptreclaim_scan_end,

	TP_PROTO(struct mm_struct *mm, const char *by, u64 looked, u64 empty, u64 zero_only,
		 u64 freed, u64 ns),

	TP_ARGS(mm, by, looked, empty, zero_only, freed, ns),

	TP_STRUCT__entry(
		__field(pid_t, pid)
		__field(u64, looked)
		__field(u64, empty)
		__field(u64, zero_only)
		__field(u64, freed)
		__field(u64, ns)
		__string(by, by)
	),

	TP_fast_assign(
		__entry->pid = ptr_shim_mm_pid(mm);
		__entry->looked = looked;
		__entry->empty = empty;
		__entry->zero_only = zero_only;
		__entry->freed = freed;
		__entry->ns = ns;
		__assign_str(by);
	),

	TP_printk("pid=%d by=%s looked=%llu empty=%llu zero_only=%llu freed=%llu ns=%llu",
		  __entry->pid, __get_str(by), __entry->looked, __entry->empty,
		  __entry->zero_only, __entry->freed, __entry->ns)
);

#endif /* _TRACE_PTRECLAIM_H */

#include <trace/define_trace.h>
