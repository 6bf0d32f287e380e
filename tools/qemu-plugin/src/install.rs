// SPDX-License-Identifier: GPL-2.0

//! What QEMU hands to a plugin when it loads it.

use crate::api::Info;
use std::ffi::{CStr, c_char, c_int};

/// How many CPUs there can be, and the words after the plugin's name.
///
/// # Safety
///
/// With what QEMU gives to `qemu_plugin_install()`.
#[inline]
pub unsafe fn arguments(
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> Result<(usize, Vec<String>), String> {
    // SAFETY: As QEMU promises for this call.
    let (info, words) = unsafe {
        let word = |n| CStr::from_ptr(*argv.add(n)).to_string_lossy().into_owned();
        (&*info, (0..argc as usize).map(word).collect())
    };
    // SAFETY: A string of QEMU's.
    let target = unsafe { CStr::from_ptr(info.target_name) };
    if !info.system_emulation || target != c"x86_64" {
        return Err("it is for whole machines with x86_64".to_string());
    }
    Ok((info.max_vcpus as usize, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(system_emulation: bool, target: &CStr) -> Result<(usize, Vec<String>), String> {
        let info = Info {
            target_name: target.as_ptr(),
            version_min: 2,
            version_cur: 4,
            system_emulation,
            smp_vcpus: 2,
            max_vcpus: 8,
        };
        let words = [c"map=a".as_ptr(), c"out=b".as_ptr()];
        // SAFETY: As QEMU gives it.
        unsafe { arguments(&info, 2, words.as_ptr()) }
    }

    #[test]
    fn takes_machines_only() {
        let words = vec!["map=a".to_string(), "out=b".to_string()];
        assert_eq!(given(true, c"x86_64"), Ok((8, words)));
        assert!(given(false, c"x86_64").is_err());
        assert!(given(true, c"aarch64").is_err());
    }
}
