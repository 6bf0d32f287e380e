// SPDX-License-Identifier: GPL-2.0

//! Where the words of [`crate::policy`] are kept: a fixed number, so that no zap allocates.

use crate::{
    policy::{
        Key,
        Memory,
        MEMORY_BITS, //
    },
    sys::once::{
        read_once,
        write_once, //
    },
};
use kernel::sync::atomic::Atomic;

/// One word per table, or rather per hash of one. Racing writers lose one of two hints.
static MEMORIES: [Atomic<u64>; 1 << MEMORY_BITS] = [const { Atomic::new(0) }; 1 << MEMORY_BITS];

#[inline]
fn word(key: Key) -> Option<&'static Atomic<u64>> {
    MEMORIES.get(key.index())
}

/// What is remembered of the table, or of another one with the same hash.
#[inline]
pub(crate) fn recall(key: Key) -> Memory {
    Memory::from_word(word(key).map_or(0, read_once))
}

/// Remembers `memory` of the table.
#[inline]
pub(crate) fn remember(key: Key, memory: Memory) {
    if let Some(word) = word(key) {
        write_once(word, memory.word());
    }
}
