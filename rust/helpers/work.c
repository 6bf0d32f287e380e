// SPDX-License-Identifier: GPL-2.0
/*
 * When the background scanner runs, and its parameters. It sleeps until there is
 * a hint, then looks once per interval as long as there is something to do.
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/workqueue.h>

#include <ptreclaim/shim.h>

#define MIN_INTERVAL_MS	10
#define MAX_INTERVAL_MS	60000
#define MAX_AGE_MS	600000
#define MIN_BUDGET_US	100
#define FORGET_SECONDS	10

/* KUnit's suites run it themselves, when nothing else looks. */
static bool scan = !__is_defined(PTRECLAIM_KUNIT);
static bool zero_pages = true;
static unsigned int scan_interval_ms = 200;
static unsigned int scan_age_ms = 200;
static unsigned int scan_budget_us = 10000;

static void scan_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(scan_dwork, scan_work);
static void forget_work(struct work_struct *work);
static DECLARE_DEFERRABLE_WORK(forget_dwork, forget_work);
static struct workqueue_struct *scan_wq;

/*
 * Any context. Does nothing if it is armed already. When switched off, what was
 * hinted at is of use under memory pressure; but whoever has exited is to go.
 */
void ptr_shim_work_arm(void)
{
	struct workqueue_struct *wq = READ_ONCE(scan_wq);

	if (!wq)
		return;
	if (READ_ONCE(scan))
		queue_delayed_work(wq, &scan_dwork, ptr_shim_scan_interval());
	else
		queue_delayed_work(wq, &forget_dwork, FORGET_SECONDS * HZ);
}

static void scan_work(struct work_struct *work)
{
	if (!READ_ONCE(scan) || ptreclaim_scan())
		ptr_shim_work_arm();
}

static void forget_work(struct work_struct *work)
{
	if (READ_ONCE(scan) || ptreclaim_forget_dead())
		ptr_shim_work_arm();
}

/* Its own workqueue, so that sysfs has its CPUs and its niceness. */
int ptr_shim_work_start(void)
{
	scan_wq = alloc_workqueue("ptreclaim", WQ_UNBOUND | WQ_FREEZABLE | WQ_SYSFS, 1);
	return scan_wq ? 0 : -ENOMEM;
}

/* No hint comes any more. */
void ptr_shim_work_stop(void)
{
	struct workqueue_struct *wq = scan_wq;

	/* The parameter arms the scanner too. */
	kernel_param_lock(THIS_MODULE);
	WRITE_ONCE(scan_wq, NULL);
	kernel_param_unlock(THIS_MODULE);
	if (ptr_seeded(PTR_BUG_WORK_LEFT))
		return;
	/* For good: each of them may be about to queue the other. */
	disable_delayed_work_sync(&scan_dwork);
	disable_delayed_work_sync(&forget_dwork);
	destroy_workqueue(wq);
}

unsigned long ptr_shim_scan_interval(void)
{
	return msecs_to_jiffies(READ_ONCE(scan_interval_ms));
}

unsigned long ptr_shim_scan_age(void)
{
	return msecs_to_jiffies(READ_ONCE(scan_age_ms));
}

unsigned int ptr_shim_scan_budget_us(void)
{
	return READ_ONCE(scan_budget_us);
}

bool ptr_shim_scan_zero_pages(void)
{
	return READ_ONCE(zero_pages);
}

static int scan_set(const char *val, const struct kernel_param *kp)
{
	int ret = param_set_bool(val, kp);

	if (!ret)
		ptr_shim_work_arm();
	return ret;
}

static const struct kernel_param_ops scan_ops = {
	.set = scan_set,
	.get = param_get_bool,
};
module_param_cb(scan, &scan_ops, &scan, 0644);
MODULE_PARM_DESC(scan, "look in the background for empty page tables (default Y)");

module_param(zero_pages, bool, 0644);
MODULE_PARM_DESC(zero_pages, "also reclaim page tables that map only the zero page (default Y)");

static int interval_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, MIN_INTERVAL_MS, MAX_INTERVAL_MS);
}

static const struct kernel_param_ops interval_ops = {
	.set = interval_set,
	.get = param_get_uint,
};
module_param_cb(scan_interval_ms, &interval_ops, &scan_interval_ms, 0644);
MODULE_PARM_DESC(scan_interval_ms, "milliseconds between two looks, 10 to 60000 (default 200)");

static int age_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, 0, MAX_AGE_MS);
}

static const struct kernel_param_ops age_ops = {
	.set = age_set,
	.get = param_get_uint,
};
module_param_cb(scan_age_ms, &age_ops, &scan_age_ms, 0644);
MODULE_PARM_DESC(scan_age_ms, "milliseconds that a table must have been seen empty, 0 to 600000; 0 is at the first look (default 200)");

static int budget_set(const char *val, const struct kernel_param *kp)
{
	return param_set_uint_minmax(val, kp, MIN_BUDGET_US, MAX_INTERVAL_MS * USEC_PER_MSEC);
}

static const struct kernel_param_ops budget_ops = {
	.set = budget_set,
	.get = param_get_uint,
};
module_param_cb(scan_budget_us, &budget_ops, &scan_budget_us, 0644);
MODULE_PARM_DESC(scan_budget_us, "microseconds of CPU per interval, 100 to 60000000 (default 10000)");
