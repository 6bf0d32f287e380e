// SPDX-License-Identifier: GPL-2.0

//! Address spaces that are remembered for later, without keeping them in use.

use super::{
    bindings::{
        self,
        mm_struct,
        ptr_bug, //
    },
    forced::may_join,
    once::read_once,
    seeded::seeded, //
};
use core::{
    pin::Pin,
    ptr::NonNull, //
};
use kernel::{
    mm::{
        Mm,
        MmWithUser,
        MmWithUserAsync, //
    },
    sync::{
        aref::{
            ARef,
            AlwaysRefCounted, //
        },
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        global_lock, //
    },
};

global_lock! {
    // SAFETY: `init` is called before anything is put into a slot.
    unsafe(uninit) static RELEASE: SpinLock<()> = ();
}

/// Makes slots usable. To be called once, by `init` of the module.
pub(crate) fn init() {
    // SAFETY: Called once, before anything is put into a slot.
    unsafe { RELEASE.init() }
}

/// An `mm_struct` is aligned to more than that.
const HINTED: usize = 1;

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offered {
    /// The slot has it now, or was told that there is something new about it.
    New,
    /// The slot has it, and nobody has looked since it was offered the last time.
    Known,
    /// The slot has another one.
    Full,
}

/// Room for one address space, and whether there is something to look at.
///
/// # Invariants
///
/// The word without its lowest bit is null or points to an `mm_struct` that the slot has a reference
/// to (`mmgrab()`). It becomes null only with `RELEASE` held.
pub(crate) struct MmSlot(Atomic<usize>);

impl MmSlot {
    pub(crate) const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Whether it has this one, and nobody has looked since it was offered the last time.
    #[inline]
    pub(crate) fn is_hinted_at(&self, mm: &Mm) -> bool {
        read_once(&self.0) == mm.as_raw() as usize | HINTED
    }

    /// Puts it into the slot, unless that has another one. Any context; lockless.
    #[inline]
    pub(crate) fn offer(&self, mm: &Mm) -> Offered {
        let addr = mm.as_raw() as usize;
        loop {
            let word = read_once(&self.0);
            if word == addr | HINTED {
                return Offered::Known;
            }
            if word & !HINTED != 0 && word != addr {
                return Offered::Full;
            }
            if word == 0 {
                mm.inc_ref();
            }
            // INVARIANT: With the reference of just now, or that the slot has already.
            if self.0.cmpxchg(word, addr | HINTED, Full).is_ok() {
                return Offered::New;
            }
            if word == 0 {
                // SAFETY: The reference of just now; whoever called has another one.
                unsafe { Mm::dec_ref(NonNull::from(mm)) };
            }
        }
    }

    /// Whether it has one.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        read_once(&self.0) != 0
    }

    /// What it has.
    pub(crate) fn get(&self) -> Option<ARef<Mm>> {
        let _guard = RELEASE.lock();
        let mm = (self.0.load(Relaxed) & !HINTED) as *mut mm_struct;
        if mm.is_null() {
            return None;
        }
        // SAFETY: By the type invariant, and nobody releases it as long as the lock is held.
        Some(unsafe { Mm::from_raw(mm) }.into())
    }

    /// From here on an offer is a new one.
    pub(crate) fn take_hint(&self, mm: &Mm) {
        let addr = mm.as_raw() as usize;
        // Before what is looked at: an entry cleared later comes with a hint of its own.
        let _ = self.0.cmpxchg(addr | HINTED, addr, Full);
    }

    /// Forgets `mm`, unless it was offered since the last [`Self::take_hint`].
    pub(crate) fn release(&self, mm: &Mm) {
        let addr = mm.as_raw() as usize;
        let _guard = RELEASE.lock();
        if self.0.cmpxchg(addr, 0, Full).is_ok() {
            // SAFETY: The reference of the slot, by the type invariant; the caller has another.
            unsafe { Mm::dec_ref(NonNull::from(mm)) };
        }
    }

    /// Forgets `mm` whatever was offered.
    pub(crate) fn forget(&self, mm: &Mm) {
        self.take_hint(mm);
        self.release(mm);
    }
}

/// A number for an address space that no other one ever has.
#[inline]
pub(crate) fn id(mm: &Mm) -> u64 {
    // SAFETY: The address space is valid; its `ctx_id` never changes.
    unsafe { (*mm.as_raw()).__bindgen_anon_1.context.ctx_id }
}

/// The process it belongs to; 0 if that cannot be told.
pub(crate) fn pid(mm: &Mm) -> i32 {
    // SAFETY: The address space is valid.
    unsafe { bindings::ptr_shim_mm_pid(mm.as_raw()) }
}

/// Takes part in an address space that may have no users any more.
///
/// # Safety
///
/// Never safe to call: it is there for a build that makes mistakes on purpose.
#[cold]
unsafe fn join_whatever(mm: &Mm) -> ARef<MmWithUser> {
    // SAFETY: None: this is the mistake.
    unsafe {
        bindings::mmget(mm.as_raw());
        ARef::from_raw(NonNull::new_unchecked(mm.as_raw().cast()))
    }
}

/// Takes part in an address space, if it still has users, and is not just being made by `fork()`.
/// What is dropped last is torn down by somebody else, so it may be dropped in any context.
pub(crate) fn join(mm: &Mm) -> Option<ARef<MmWithUserAsync>> {
    if !may_join() {
        return None;
    }
    let mm = if seeded(ptr_bug::PTR_BUG_NO_USERS) {
        // SAFETY: None: this is the mistake.
        unsafe { join_whatever(mm) }
    } else {
        mm.mmget_not_zero()?
    };
    let mm = MmWithUser::into_mmput_async(mm);
    // SAFETY: Reads a flag.
    let complete = unsafe { bindings::ptr_shim_mm_complete(mm.as_raw()) };
    if !complete && seeded(ptr_bug::PTR_BUG_JOIN_LEAK) {
        core::mem::forget(mm);
        return None;
    }
    complete.then_some(mm)
}

/// About how many threads use it.
pub(crate) fn users(mm: &MmWithUser) -> u32 {
    // SAFETY: Reads a counter.
    unsafe { bindings::ptr_shim_mm_users(mm.as_raw()) }
}

/// Whether it still has users.
#[inline]
pub(crate) fn has_users(mm: &Mm) -> bool {
    // SAFETY: Reads a counter.
    !unsafe { bindings::ptr_shim_mm_exiting(mm.as_raw()) }
}

/// Whether an address space that the caller has joined is about to go.
pub(crate) fn is_dying(mm: &MmWithUser) -> bool {
    // SAFETY: Reads a counter and flags.
    unsafe { bindings::ptr_shim_mm_dying(mm.as_raw()) }
}

/// Has [`crate::scan::hints::offer`] called for each address space there is, from those on of
/// processes started at `from`. Gives where it found no room, to go on there, or 0 at the end. May sleep.
pub(crate) fn offer_all(from: u64) -> u64 {
    // SAFETY: Has no requirements.
    unsafe { bindings::ptr_shim_each_mm(from) }
}
