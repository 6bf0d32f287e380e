// SPDX-License-Identifier: GPL-2.0
/*
 * Decisions that a test has go the other way, by fail_function: those that the
 * kernel crate makes inline, so that there is no function of ours to fail. They
 * are asked before it is; what it says counts all the same. Only in kernels with
 * CONFIG_FAIL_FUNCTION. Others are marked where they are made.
 */
#include <linux/error-injection.h>

#include <ptreclaim/shim.h>

/* mmap_read_trylock(), at the end of a zap and in a scan. */
bool ptr_shim_may_try_mmap(void)
{
	return true;
}
ALLOW_ERROR_INJECTION(ptr_shim_may_try_mmap, NULL);

/* lock_vma_under_rcu() */
bool ptr_shim_may_lock_vma(void)
{
	return true;
}
ALLOW_ERROR_INJECTION(ptr_shim_may_lock_vma, NULL);

/* mmget_not_zero() */
bool ptr_shim_may_join(void)
{
	return true;
}
ALLOW_ERROR_INJECTION(ptr_shim_may_join, NULL);

/* A slot for an address space that was hinted at. */
bool ptr_shim_may_have_slot(void)
{
	return true;
}
ALLOW_ERROR_INJECTION(ptr_shim_may_have_slot, NULL);
