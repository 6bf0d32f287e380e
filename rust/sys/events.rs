// SPDX-License-Identifier: GPL-2.0

//! The tracepoints of `include/trace/events/ptreclaim.h`: a nop each as long as nobody listens.
//!
//! As `kernel::tracepoint::declare_trace!`, which looks for them in the bindings of the kernel.

use super::bindings;
use kernel::{
    mm::Mm,
    prelude::*, //
};

/// A table, of whose address space, and what became of it.
pub(crate) struct Table<'a>(
    pub(crate) &'a Mm,
    pub(crate) usize,
    pub(crate) &'static CStr,
);

/// A look at an address space, from an address on, and by whom.
pub(crate) struct Begin<'a>(
    pub(crate) &'a Mm,
    pub(crate) usize,
    pub(crate) &'static CStr,
);

/// What it has found, in tables, and how long it took in nanoseconds.
pub(crate) struct End<'a> {
    pub(crate) mm: &'a Mm,
    pub(crate) by: &'static CStr,
    pub(crate) looked: u64,
    pub(crate) empty: u64,
    pub(crate) zero_only: u64,
    pub(crate) freed: u64,
    pub(crate) ns: u64,
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident($what:ident: $type:ident) => $event:ident($($arg:expr),*);)*) => {
        kernel::macros::paste! {$(
            $(#[$doc])*
            ///
            /// What is traced is only put together if somebody listens.
            #[inline(always)]
            pub(crate) fn $name<'a>(what: impl FnOnce() -> $type<'a>) {
                #[cold]
                fn call($what: $type<'_>) {
                    // SAFETY: The address space is valid during the call, and the string always.
                    unsafe { bindings::[<rust_do_trace_ $event>]($($arg),*) }
                }
                // SAFETY: A static key may be asked for at any time.
                if unsafe {
                    kernel::jump_label::static_branch_unlikely!(
                        bindings::[<__tracepoint_ $event>],
                        kernel::bindings::tracepoint,
                        key
                    )
                } {
                    call(what());
                }
            }
        )*}
    };
}

events! {
    /// A table was unlinked.
    freed(table: Table) =>
        ptreclaim_freed(table.0.as_raw(), table.1, table.2.as_char_ptr());
    /// A table was kept.
    kept(table: Table) =>
        ptreclaim_kept(table.0.as_raw(), table.1, table.2.as_char_ptr());
    /// An address space is about to be looked at.
    scan_begin(scan: Begin) =>
        ptreclaim_scan_begin(scan.0.as_raw(), scan.1, scan.2.as_char_ptr());
    /// It was.
    scan_end(scan: End) =>
        ptreclaim_scan_end(
            scan.mm.as_raw(),
            scan.by.as_char_ptr(),
            scan.looked,
            scan.empty,
            scan.zero_only,
            scan.freed,
            scan.ns
        );
}
