// SPDX-License-Identifier: GPL-2.0

//! `/dev/ptreclaim`: its registration, and the user's memory that its ioctl reads and writes.

use super::bindings::{
    self,
    ptreclaim_request, //
};
use crate::device;
use core::{
    mem::size_of,
    ptr::NonNull,
    slice, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    ffi::{
        c_int,
        c_long,
        c_uint,
        c_ulong, //
    },
    mm::MmWithUser,
    prelude::*,
    sync::aref::ARef,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// The device, as long as this lives.
pub(crate) struct Device(());

impl Device {
    /// Registers it. May sleep.
    ///
    /// # Errors
    ///
    /// Those of `misc_register()`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: Called once; may sleep here.
        to_result(unsafe { bindings::ptr_shim_device_start() })?;
        Ok(Self(()))
    }
}

impl Drop for Device {
    /// No file of it is open any more: each holds a reference to the module.
    fn drop(&mut self) {
        // SAFETY: It was registered.
        unsafe { bindings::ptr_shim_device_stop() }
    }
}

/// Called by `helpers/device.c` in the context of the caller; may sleep.
#[no_mangle]
extern "C" fn ptreclaim_ioctl(cmd: c_uint, arg: c_ulong) -> c_long {
    match device::ioctl(cmd, Arg(arg)) {
        Ok(()) => 0,
        Err(err) => err.to_errno() as c_long,
    }
}

/// Where the caller has the request.
#[derive(Clone, Copy)]
pub(crate) struct Arg(usize);

impl Arg {
    /// The request, of which the caller has `size` bytes.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is less than there ever was, `E2BIG` if it is more than is known here and not
    /// zero, `EFAULT`.
    pub(crate) fn read(self, size: usize) -> Result<ptreclaim_request> {
        if size < bindings::PTRECLAIM_REQUEST_SIZE_VER0 as usize {
            return Err(EINVAL);
        }
        let mut request = ptreclaim_request::default();
        let known = size.min(size_of::<ptreclaim_request>());
        let mut reader = UserSlice::new(UserPtr::from_addr(self.0), size).reader();
        // SAFETY: The struct is made of integers and has no padding: any bytes are one.
        let bytes = unsafe { slice::from_raw_parts_mut((&raw mut request).cast::<u8>(), known) };
        reader.read_slice(bytes)?;
        while !reader.is_empty() {
            if reader.read::<u8>()? != 0 {
                return Err(E2BIG);
            }
        }
        Ok(request)
    }

    /// Writes it back, as much of it as the caller knows.
    ///
    /// # Errors
    ///
    /// `EFAULT`.
    pub(crate) fn write(self, request: &ptreclaim_request) -> Result {
        let known = (request.size as usize).min(size_of::<ptreclaim_request>());
        // SAFETY: The struct has no padding: all of its bytes are initialized.
        let bytes =
            unsafe { slice::from_raw_parts(core::ptr::from_ref(request).cast::<u8>(), known) };
        UserSlice::new(UserPtr::from_addr(self.0), known)
            .writer()
            .write_slice(bytes)
    }
}

/// The address space of the process of a pidfd, or of the caller. May sleep.
///
/// # Errors
///
/// `EBADF`, `ESRCH`, `EACCES`, `EPERM`: as listed in the header.
pub(crate) fn request_mm(pidfd: c_int, dry_run: bool) -> Result<ARef<MmWithUser>> {
    // SAFETY: Called in the context of a process that may sleep.
    let mm = from_err_ptr(unsafe { bindings::ptr_shim_request_mm(pidfd, dry_run) })?;
    let mm = NonNull::new(mm).ok_or(ESRCH)?;
    // SAFETY: It comes with a reference to `mm_users`, which is passed on.
    Ok(unsafe { ARef::from_raw(mm.cast()) })
}

/// The end of the user's part of an address space.
pub(crate) fn task_size() -> usize {
    // SAFETY: Gives a constant.
    unsafe { bindings::ptr_shim_task_size() }
}
