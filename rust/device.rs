// SPDX-License-Identifier: GPL-2.0

//! `/dev/ptreclaim`: reclaim on request, as `include/uapi/linux/ptreclaim.h` describes it.

use crate::{
    outcome::Outcome,
    scan::{
        found::Found,
        sweep::{
            Aim,
            Sweep, //
        },
    },
    sys::{
        bindings::{
            self,
            ptreclaim_kept,
            ptreclaim_request, //
        },
        device::{
            request_mm,
            task_size,
            Arg, //
        },
        mm::is_dying,
        time::yield_if_needed, //
    },
};
use core::{
    mem::size_of,
    ops::Range, //
};
use kernel::{
    ioctl::{
        _IOC_NR,
        _IOC_SIZE,
        _IOC_TYPE,
        _IOWR, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};

const RECLAIM: u32 = _IOWR::<ptreclaim_request>(bindings::PTRECLAIM_IOC, 1);

const FLAGS: u32 =
    bindings::PTRECLAIM_DRY_RUN | bindings::PTRECLAIM_ZERO_PAGES | bindings::PTRECLAIM_FULLNESS;

const _: () = assert!(
    size_of::<ptreclaim_request>() == bindings::PTRECLAIM_REQUEST_SIZE_VER0 as usize,
    "programs rely on the first size"
);

/// Serves one ioctl. May sleep.
///
/// # Errors
///
/// As listed in the header. What was done until an error is in the request all the same.
pub(crate) fn ioctl(cmd: u32, arg: Arg) -> Result<()> {
    // The size may differ: it is the caller's idea of the struct.
    if (_IOC_TYPE(cmd), _IOC_NR(cmd)) != (_IOC_TYPE(RECLAIM), _IOC_NR(RECLAIM))
        || cmd >> 30 != RECLAIM >> 30
    {
        return Err(ENOTTY);
    }
    let size = _IOC_SIZE(cmd);
    let mut request = arg.read(size)?;
    let range = check(&request, size)?;
    let dry_run = request.flags & bindings::PTRECLAIM_DRY_RUN != 0;
    let mm = request_mm(request.pidfd, dry_run)?;

    let aim = Aim {
        free: !dry_run,
        wait: true,
        at_least: 0,
        zero_pages: request.flags & bindings::PTRECLAIM_ZERO_PAGES != 0,
        fullness: request.flags & bindings::PTRECLAIM_FULLNESS != 0,
        node: None,
        age: None,
        by: c"request",
    };
    let mut sweep = Sweep::new(&mm, range.start, aim);
    let mut next = Some(range.start);
    let mut result = Ok(());
    while let Some(addr) = next {
        result = if kernel::current!().signal_pending() {
            Err(EINTR)
        } else if is_dying(&mm) {
            Err(ESRCH)
        } else {
            Ok(())
        };
        if result.is_err() {
            break;
        }
        next = sweep.step(addr..range.end);
        yield_if_needed();
    }
    fill(&mut request, &sweep.finish());
    request.next = next.unwrap_or(range.end) as u64;
    arg.write(&request)?;
    result
}

/// The range to look at.
fn check(request: &ptreclaim_request, size: usize) -> Result<Range<usize>> {
    let start = usize::try_from(request.start)?;
    let len = usize::try_from(request.len)?;
    if request.size as usize != size
        || request.flags & !FLAGS != 0
        || request.reserved != 0
        || start % PAGE_SIZE != 0
        || len % PAGE_SIZE != 0
    {
        return Err(EINVAL);
    }
    let end = match len {
        0 => task_size().max(start),
        _ => start.checked_add(len).ok_or(EINVAL)?,
    };
    Ok(start..end)
}

fn fill(request: &mut ptreclaim_request, found: &Found) {
    request.tables = found.looked;
    request.empty = found.empty;
    request.zero_only = found.zero_only;
    request.freed = found.freed;
    request.fullness = found.fullness;
    request.kept = [0; ptreclaim_kept::PTRECLAIM_KEPT_MAX as usize];
    for (nr, why) in [
        (ptreclaim_kept::PTRECLAIM_KEPT_PRESENT, Outcome::Present),
        (ptreclaim_kept::PTRECLAIM_KEPT_SWAP, Outcome::Swap),
        (ptreclaim_kept::PTRECLAIM_KEPT_MARKERS, Outcome::Markers),
        (ptreclaim_kept::PTRECLAIM_KEPT_MIGRATION, Outcome::Migration),
        (ptreclaim_kept::PTRECLAIM_KEPT_BUSY, Outcome::Busy),
        (ptreclaim_kept::PTRECLAIM_KEPT_NO_VMA, Outcome::NoVma),
        (
            ptreclaim_kept::PTRECLAIM_KEPT_ZERO_PAGES,
            Outcome::ZeroPages,
        ),
        (ptreclaim_kept::PTRECLAIM_KEPT_MLOCKED, Outcome::ZeroMlocked),
        (ptreclaim_kept::PTRECLAIM_KEPT_UFFD, Outcome::ZeroUffd),
        (
            ptreclaim_kept::PTRECLAIM_KEPT_SOFT_DIRTY,
            Outcome::ZeroSoftDirty,
        ),
        (ptreclaim_kept::PTRECLAIM_KEPT_SHARED, Outcome::ZeroShared),
    ] {
        if let Some(kept) = request.kept.get_mut(nr as usize) {
            *kept = found.kept(why);
        }
    }
}
