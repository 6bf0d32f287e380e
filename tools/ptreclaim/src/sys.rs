// SPDX-License-Identifier: GPL-2.0

//! The two ioctls. All unsafe code is here.

#![allow(unsafe_code)]

use crate::uapi::Request;
use rustix::{
    fd::AsFd,
    io,
    ioctl::{Ioctl, IoctlOutput, Opcode, opcode},
};
use std::ffi::c_void;

/// `struct page_region` of `linux/fs.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PageRegion {
    pub start: u64,
    pub end: u64,
    pub categories: u64,
}

/// `struct pm_scan_arg` of `linux/fs.h`, and the regions it points to.
pub struct PagemapScan<'a> {
    arg: PmScanArg,
    regions: &'a mut [PageRegion],
}

#[derive(Clone, Debug, Default)]
#[repr(C)]
struct PmScanArg {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    vec: u64,
    vec_len: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_anyof_mask: u64,
    return_mask: u64,
}

/// Which pages a scan is to report, and what of them.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    pub all_of: u64,
    pub any_of: u64,
    pub report: u64,
}

/// Scans from `start` to `end`, as far as there is room for regions. Returns how many there are,
/// and where the scan ended.
///
/// # Errors
///
/// `ENOTTY` before Linux 6.7.
pub fn pagemap_scan(
    pagemap: impl AsFd,
    start: u64,
    end: u64,
    query: Query,
    regions: &mut [PageRegion],
) -> io::Result<(usize, u64)> {
    let arg = PmScanArg {
        size: size_of::<PmScanArg>() as u64,
        start,
        end,
        vec: regions.as_mut_ptr() as u64,
        vec_len: regions.len() as u64,
        category_mask: query.all_of,
        category_anyof_mask: query.any_of,
        return_mask: query.report,
        ..PmScanArg::default()
    };
    let mut scan = PagemapScan { arg, regions };
    // SAFETY: PagemapScan describes this ioctl. No flag is set, so that it changes no page.
    let found = unsafe { rustix::ioctl::ioctl(pagemap, &mut scan) }?;
    Ok((found.min(scan.regions.len()), scan.arg.walk_end))
}

// SAFETY: the opcode is that of a pm_scan_arg, which as_ptr() points to; the regions that it points
// to, vec_len of them, are borrowed for as long as it lives.
unsafe impl Ioctl for &mut PagemapScan<'_> {
    type Output = usize;
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<PmScanArg>(b'f', 16)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.arg).cast()
    }

    unsafe fn output_from_ptr(found: IoctlOutput, _: *mut c_void) -> io::Result<usize> {
        Ok(found as usize)
    }
}

/// `PTRECLAIM_IOC_RECLAIM`. What was counted is in the request, also after an error.
pub fn reclaim(device: impl AsFd, request: &mut Request) -> io::Result<()> {
    // SAFETY: ReclaimIoctl describes this ioctl.
    unsafe { rustix::ioctl::ioctl(device, ReclaimIoctl(request)) }
}

struct ReclaimIoctl<'a>(&'a mut Request);

// SAFETY: the opcode is that of a struct ptreclaim_request, of which Request is the layout, and
// which as_ptr() points to; the kernel writes nothing else, and every bit pattern is a Request.
unsafe impl Ioctl for ReclaimIoctl<'_> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        opcode::read_write::<Request>(0xBD, 0x01)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opcodes_are_those_of_the_headers() {
        assert_eq!(opcode::read_write::<PmScanArg>(b'f', 16), 0xc060_6610);
        assert_eq!(opcode::read_write::<Request>(0xBD, 0x01), 0xc108_bd01);
    }
}
