// SPDX-License-Identifier: GPL-2.0

//! What Linux does in batches or now and then, so that one call pays for others: how full its lists are
//! when a row begins is as the boot has left them, and another task has its turn when it has. In one
//! boot it is more than in another, and by more than the module costs. No patch changes any of these
//! functions.

const BATCHES: [&str; 71] = [
    // Pages, between a CPU's own lists and those of all.
    "__rmqueue_pcplist",
    "__mod_zone_page_state",
    "try_to_claim_block",
    "change_pageblock_range",
    "free_pcppages_bulk",
    "__free_one_page",
    "free_unref_folios",
    "free_frozen_page_commit",
    // The same with the LRU lists and the memory cgroup's counters.
    "lru_add",
    "lru_activate",
    "folio_batch_move_lru",
    "folio_lruvec_lock_irqsave",
    "folios_put_refs",
    "__page_cache_release",
    "mem_cgroup_update_lru_size",
    "mod_lruvec_state",
    "mod_memcg_lruvec_state",
    "mod_node_page_state",
    "count_memcg_events",
    "__css_rstat_updated",
    "uncharge_folio",
    "uncharge_batch",
    "__mem_cgroup_uncharge_folios",
    // Slabs.
    "__pcs_replace_empty_main",
    "__pcs_replace_full_main",
    "barn_replace_empty_sheaf",
    "barn_get_empty_sheaf",
    "refill_objects",
    "__refill_objects_node",
    "alloc_from_new_slab",
    "allocate_slab",
    "build_slab_freelist",
    "slab_update_freelist",
    // And their pages. Those of page tables are told by `__pte_alloc()`.
    "__alloc_frozen_pages_noprof",
    "get_page_from_freelist",
    "prep_new_page",
    "zone_watermark_fast",
    "zone_statistics",
    // Memory for each CPU, by bitmaps.
    "pcpu_alloc_area",
    "pcpu_free_area",
    "pcpu_block_update",
    "pcpu_block_refresh_hint",
    "pcpu_chunk_refresh_hint",
    "_find_next_bit",
    "_find_next_zero_bit",
    "_find_last_bit",
    // To another task and back.
    "__schedule",
    "preempt_schedule",
    "preempt_schedule_common",
    "preempt_schedule_thunk",
    "rcu_note_context_switch",
    "rcu_preempt_deferred_qs_irqrestore",
    "rcu_read_unlock_special",
    "pick_task_fair",
    "pick_next_entity",
    "put_prev_task_fair",
    "set_next_task_fair",
    "dequeue_entities",
    "__dequeue_entity",
    "__enqueue_entity",
    "update_curr",
    "update_curr_dl_se",
    "update_se",
    "update_load_avg",
    "__update_load_avg_se",
    "__update_load_avg_cfs_rq",
    "update_cfs_rq_load_avg",
    "__switch_to",
    "__switch_to_asm",
    "finish_task_switch",
    "exit_to_user_mode_loop",
];

/// Whether a function is one of these.
pub fn is_in_batches(name: &str) -> bool {
    BATCHES.contains(&name)
}
