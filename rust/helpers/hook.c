// SPDX-License-Identifier: GPL-2.0
/*
 * Registration with the patched kernel, and the parameters: module! has no
 * boolean ones, nor any that sysfs shows.
 */
#define pr_fmt(fmt) "ptreclaim: " fmt

#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>

#include <ptreclaim/shim.h>

#define MAX_REFILL_MS	60000

/* A test builds the module for an ABI that the kernel does not have. */
#ifndef PTRECLAIM_ABI
#define PTRECLAIM_ABI	PT_RECLAIM_ABI
#endif

MODULE_VERSION(PTRECLAIM_VERSION);

/* Weak, so that loading on a kernel without the hooks can be explained. */
extern typeof(pt_reclaim_register) pt_reclaim_register __weak;
extern typeof(pt_reclaim_unregister) pt_reclaim_unregister __weak;

static DEFINE_MUTEX(hook_lock);
static bool enabled = true;
static bool live;		/* between ptr_shim_hook_start() and _stop() */
static unsigned int refill_ms = 20;

static const struct pt_reclaim_ops ops = {
	.abi = PTRECLAIM_ABI,
	.owner = THIS_MODULE,
	.zap = ptreclaim_zap,
	.hint = ptreclaim_hint,
	.fork = ptreclaim_fork,
};

pmd_t ptr_shim_retry(void)
{
	return PT_RECLAIM_RETRY;
}

static int attach(void)
{
	int ret = pt_reclaim_register(&ops);

	if (ret == -EPROTO)
		pr_err("the kernel's hook ABI is not %d: not loaded\n", PTRECLAIM_ABI);
	else if (ret == -EBUSY)
		pr_err("another reclaimer is registered: not enabled\n");
	else if (!ret)
		ptreclaim_offer_all();	/* what was empty before */
	return ret;
}

int ptr_shim_hook_start(void)
{
	int ret = 0;

	if (!pt_reclaim_register) {
		pr_err("this kernel has no page table reclaim hooks (CONFIG_PT_RECLAIM_HOOKS): not loaded\n");
		return -EOPNOTSUPP;
	}

	ptr_shim_scan_init();
	guard(mutex)(&hook_lock);
	if (enabled)
		ret = attach();
	live = !ret;
	return ret;
}

void ptr_shim_hook_stop(void)
{
	guard(mutex)(&hook_lock);
	live = false;
	if (enabled)
		pt_reclaim_unregister(&ops);
}

unsigned long ptr_shim_refill_jiffies(void)
{
	return msecs_to_jiffies(refill_ms);
}

static int enabled_set(const char *val, const struct kernel_param *kp)
{
	bool on;
	int ret = kstrtobool(val, &on);

	if (ret)
		return ret;

	guard(mutex)(&hook_lock);
	if (live && on != enabled) {
		if (!on)
			pt_reclaim_unregister(&ops);
		else
			ret = attach();
	}
	if (!ret)
		enabled = on;
	return ret;
}

static const struct kernel_param_ops enabled_ops = {
	.set = enabled_set,
	.get = param_get_bool,
};
module_param_cb(enabled, &enabled_ops, &enabled, 0644);
MODULE_PARM_DESC(enabled, "decide about emptied page tables; N: leave them to the kernel (default Y)");

static int refill_ms_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, MAX_REFILL_MS);
}

static const struct kernel_param_ops refill_ms_ops = {
	.set = refill_ms_set,
	.get = param_get_uint,
};
module_param_cb(refill_ms, &refill_ms_ops, &refill_ms, 0444);
MODULE_PARM_DESC(refill_ms, "milliseconds in which a freed and refilled table is not freed again, up to 16 times that if it keeps coming back; 0 to 60000 (default 20)");
