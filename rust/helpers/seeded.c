// SPDX-License-Identifier: GPL-2.0
/*
 * Mistakes made on purpose: the parameter, and those of the kernel itself, where
 * a wrong function takes the right one's place by kprobe. Those of the module are
 * where the right thing is done. Only in builds for tests.
 */
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/pgtable.h>
#include <linux/smp.h>

#include <asm/special_insns.h>
#include <asm/tlbflush.h>

#include <ptreclaim/shim.h>

unsigned long ptr_seeded_bugs;

/* In place of arch_flush_tlb_before_set_pmd(). */
static void no_shim(struct mm_struct *mm)
{
}

static void local_shim(struct mm_struct *mm)
{
	native_write_cr3(__read_cr3());
}

/* asm/tlbflush.h hides it from modules. */
void flush_tlb_mm_range(struct mm_struct *mm, unsigned long start, unsigned long end,
			unsigned int stride_shift, bool freed_tables);

/* The first page of the 2M that this CPU's last fault was for. */
static void one_page_shim(struct mm_struct *mm)
{
	unsigned long addr = native_read_cr2() & PMD_MASK;

	flush_tlb_mm_range(mm, addr, addr + PAGE_SIZE, PAGE_SHIFT, false);
}

static int before_set_pmd(struct kprobe *p, struct pt_regs *regs)
{
	if (ptr_seeded(PTR_BUG_NO_SHIM))
		regs->ip = (unsigned long)no_shim;
	else if (ptr_seeded(PTR_BUG_LOCAL_SHIM))
		regs->ip = (unsigned long)local_shim;
	else if (ptr_seeded(PTR_BUG_SHIM_ONE_PAGE))
		regs->ip = (unsigned long)one_page_shim;
	else
		return 0;
	return 1;
}

/* The time that a table has to go, so that it matters. */
#define RECHECK_US	100

/* In place of pte_offset_map_lock(). */
static pte_t *lock_without_recheck(struct mm_struct *mm, pmd_t *pmd, unsigned long addr,
				   spinlock_t **ptlp)
{
	pmd_t pmdval;

	rcu_read_lock();
	pmdval = pmdp_get_lockless(pmd);
	if (pmd_none(pmdval) || !pmd_present(pmdval) || pmd_leaf(pmdval) || pmd_bad(pmdval)) {
		rcu_read_unlock();
		return NULL;
	}
	*ptlp = pte_lockptr(mm, &pmdval);
	udelay(RECHECK_US);
	spin_lock(*ptlp);
	return (pte_t *)pmd_page_vaddr(pmdval) + pte_index(addr);
}

static int map_lock(struct kprobe *p, struct pt_regs *regs)
{
	if (!ptr_seeded(PTR_BUG_NO_PMD_RECHECK))
		return 0;
	regs->ip = (unsigned long)lock_without_recheck;
	return 1;
}

/* In place of pte_free_defer(). */
static rcu_callback_t pte_free_now;

static void free_at_once(struct mm_struct *mm, pgtable_t table)
{
	pte_free_now(&table->rcu_head);
}

static int defer(struct kprobe *p, struct pt_regs *regs)
{
	if (!ptr_seeded(PTR_BUG_NO_RCU))
		return 0;
	regs->ip = (unsigned long)free_at_once;
	return 1;
}

/* flush_tlb_mm_range(mm, start, end, stride_shift, freed_tables) */
static int mm_range(struct kprobe *p, struct pt_regs *regs)
{
	if (ptr_seeded(PTR_BUG_FLUSH_ADDRESS) && regs->r8) {
		regs->si = ALIGN(regs->si + 1, PMD_SIZE);
		regs->dx = regs->si + PAGE_SIZE;
	}
	return 0;
}

/* With a post_handler it is not made a jump, which could not change regs->ip. */
static void no_jump(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static struct {
	struct kprobe probe;
	unsigned long bugs;
	bool armed;
} probes[] = {
	{ .probe = { .symbol_name = "arch_flush_tlb_before_set_pmd",
		     .pre_handler = before_set_pmd },
	  .bugs = BIT(PTR_BUG_NO_SHIM) | BIT(PTR_BUG_LOCAL_SHIM) | BIT(PTR_BUG_SHIM_ONE_PAGE) },
	{ .probe = { .symbol_name = "pte_offset_map_lock", .pre_handler = map_lock },
	  .bugs = BIT(PTR_BUG_NO_PMD_RECHECK) },
	{ .probe = { .symbol_name = "pte_free_defer", .pre_handler = defer },
	  .bugs = BIT(PTR_BUG_NO_RCU) },
	{ .probe = { .symbol_name = "flush_tlb_mm_range", .pre_handler = mm_range },
	  .bugs = BIT(PTR_BUG_FLUSH_ADDRESS) },
};

/* What kprobes find, and nobody else. */
static int find_pte_free_now(void)
{
	struct kprobe probe = { .symbol_name = "pte_free_now" };
	int ret = register_kprobe(&probe);

	if (ret)
		return ret;
	pte_free_now = (rcu_callback_t)probe.addr;
	unregister_kprobe(&probe);
	return 0;
}

/*
 * Only those wanted: they slow down whatever they probe, and a kernel without kprobes has the
 * module's mistakes all the same.
 */
static int arm(unsigned long bugs)
{
	int i, ret = 0;

	if (bugs & BIT(PTR_BUG_NO_RCU) && !pte_free_now)
		ret = find_pte_free_now();
	for (i = 0; !ret && i < ARRAY_SIZE(probes); i++) {
		struct kprobe *probe = &probes[i].probe;
		bool want = probes[i].bugs & bugs;

		if (want == probes[i].armed)
			continue;
		if (!want) {
			unregister_kprobe(probe);
			probe->addr = NULL;
		} else {
			probe->post_handler = no_jump;
			probe->flags = 0;
			ret = register_kprobe(probe);
		}
		probes[i].armed = want && !ret;
	}
	return ret;
}

static int seeded_set(const char *val, const struct kernel_param *kp)
{
	unsigned long bugs;
	int ret = kstrtoul(val, 0, &bugs);

	if (!ret && bugs >> PTR_BUGS)
		ret = -EINVAL;
	if (!ret)
		ret = arm(bugs);
	if (!ret)
		WRITE_ONCE(ptr_seeded_bugs, bugs);
	return ret;
}

static const struct kernel_param_ops seeded_ops = {
	.set = seeded_set,
	.get = param_get_ulong,
};
module_param_cb(seeded_bugs, &seeded_ops, &ptr_seeded_bugs, 0600);
MODULE_PARM_DESC(seeded_bugs, "mistakes to make on purpose, a bit each (default 0)");

/* sysfs has no parameters of this module any more. */
void ptr_shim_unseed(void)
{
	arm(0);
}
