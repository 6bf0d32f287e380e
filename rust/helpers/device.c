// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/ptreclaim. In C because the kernel crate's MiscDevice sets no owner, so
 * that the module could be unloaded while the device is open.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/ptrace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

#include <ptreclaim/shim.h>

/* Neither is in a header that modules see on every kernel. */
extern typeof(mm_access) mm_access __weak;
extern typeof(pidfd_get_task) pidfd_get_task __weak;

static long device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return ptreclaim_ioctl(cmd, arg);
}

static const struct file_operations device_fops = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

/* Open to everybody, like process_madvise(2), and with the same checks. */
static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "ptreclaim",
	.fops = &device_fops,
	.mode = 0666,
};

int ptr_shim_device_start(void)
{
	return misc_register(&device);
}

void ptr_shim_device_stop(void)
{
	misc_deregister(&device);
}

/*
 * The address space of the caller, or that of the process of @pidfd, with the
 * checks of process_madvise(); who only looks need not be able to slow it down.
 * With a reference to mm_users, or an ERR_PTR().
 */
struct mm_struct *ptr_shim_request_mm(int pidfd, bool dry_run)
{
	struct task_struct *task;
	struct mm_struct *mm;
	unsigned int flags;

	if (pidfd == PTRECLAIM_SELF) {
		if (!current->mm)
			return ERR_PTR(-ESRCH);
		mmget(current->mm);
		return current->mm;
	}

	task = pidfd_get_task(pidfd, &flags);
	if (IS_ERR(task))
		return ERR_CAST(task);
	mm = mm_access(task, PTRACE_MODE_READ_FSCREDS);
	put_task_struct(task);
	if (IS_ERR(mm) || mm == current->mm || dry_run || capable(CAP_SYS_NICE))
		return mm;
	mmput(mm);
	return ERR_PTR(-EPERM);
}

unsigned long ptr_shim_task_size(void)
{
	return TASK_SIZE_MAX;
}
