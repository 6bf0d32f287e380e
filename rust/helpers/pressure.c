// SPDX-License-Identifier: GPL-2.0
/*
 * Memory pressure: the shrinker, whose functions are in rust/pressure.rs, and
 * the last call before the OOM killer.
 */
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/notifier.h>
#include <linux/oom.h>
#include <linux/rcupdate.h>
#include <linux/shrinker.h>

#include <ptreclaim/shim.h>

#ifdef CONFIG_MEMCG
extern typeof(set_shrinker_bit) set_shrinker_bit __weak;
#endif

static struct shrinker *tables_shrinker;	/* under RCU */

static unsigned long count_tables(struct shrinker *shrinker, struct shrink_control *sc)
{
	return ptreclaim_count(sc->nid, sc->memcg) ?: SHRINK_EMPTY;
}

static unsigned long shrink_tables(struct shrinker *shrinker, struct shrink_control *sc)
{
	static_assert(SHRINK_STOP == ULONG_MAX);

	return ptreclaim_shrink(sc->nid, sc->memcg, sc->nr_to_scan);
}

/*
 * Tables are freed by RCU: what the OOM killer is told to be free must be, or it
 * kills all the same.
 */
static int before_oom(struct notifier_block *nb, unsigned long unused, void *data)
{
	unsigned long *freed = data, tables = ptreclaim_before_oom();

	if (tables) {
		rcu_barrier();
		*freed += tables;
	}
	return NOTIFY_OK;
}

static struct notifier_block oom_nb = {
	.notifier_call = before_oom,
};

int ptr_shim_pressure_start(void)
{
	struct shrinker *shrinker = shrinker_alloc(SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE,
						   "ptreclaim");

	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_tables;
	shrinker->scan_objects = shrink_tables;
	shrinker->seeks = 0;	/* an empty table costs nothing to do without */
	shrinker_register(shrinker);
	WRITE_ONCE(tables_shrinker, shrinker);
	register_oom_notifier(&oom_nb);
	return 0;
}

/* The scanner may still run, and hint at what it finds. */
void ptr_shim_pressure_stop(void)
{
	struct shrinker *shrinker = tables_shrinker;

	unregister_oom_notifier(&oom_nb);
	WRITE_ONCE(tables_shrinker, NULL);
	synchronize_rcu();
	shrinker_free(shrinker);
}

/* An RCU read-side critical section: then the cgroup stays too. */
static struct mem_cgroup *memcg_of(struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	return mem_cgroup_from_task(rcu_dereference(mm->owner));
#else
	return NULL;
#endif
}

/* Reclaim in the memory cgroup of @mm is to ask the shrinker. Any context. */
void ptr_shim_has_tables(struct mm_struct *mm)
{
#ifdef CONFIG_MEMCG
	struct shrinker *shrinker;
	struct mem_cgroup *memcg;
	int nid;

	if (mem_cgroup_disabled())
		return;
	guard(rcu)();
	shrinker = READ_ONCE(tables_shrinker);
	memcg = memcg_of(mm);
	if (!shrinker || !memcg)
		return;
	for_each_node_state(nid, N_MEMORY)
		set_shrinker_bit(memcg, nid, shrinker->id);
#endif
}

/* Whether what @mm has counts for @memcg; NULL is all of the system. */
bool ptr_shim_mm_in_memcg(struct mm_struct *mm, struct mem_cgroup *memcg)
{
	bool in;

	if (!memcg)
		return true;
	rcu_read_lock();
	in = memcg_of(mm) == memcg;
	rcu_read_unlock();
	return in;
}

/*
 * Tables beyond those that RSS and swap would fill: an estimate of what may be
 * empty, without a look. Tables of sparse mappings are in it.
 */
unsigned long ptr_shim_spare_tables(struct mm_struct *mm)
{
	unsigned long tables = mm_pgtables_bytes(mm) / PAGE_SIZE;
	unsigned long pages = get_mm_rss(mm) + get_mm_counter(mm, MM_SWAPENTS);
	unsigned long full = DIV_ROUND_UP(pages, PTRS_PER_PTE);

	return tables > full ? tables - full : 0;
}

unsigned int ptr_shim_nodes(void)
{
	return num_node_state(N_MEMORY);
}
