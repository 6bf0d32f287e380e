// SPDX-License-Identifier: GPL-2.0

//! Each way in which it can be wrong is found, by the claim that it breaks.

use ptreclaim_tlb_model::{
    claims::*,
    memory::Who::{self, *},
    twin::Twin,
    Model,
};
use stateright::{Checker, HasDiscoveries, Model as _};

fn breaks(twin: Twin, claim: &'static str, who: &'static [Who], cpus: usize) {
    let model = Model { who, two_cpus: cpus == 2, twin };
    let search =
        model.checker().finish_when(HasDiscoveries::AnyOf([claim].into())).spawn_bfs().join();
    let path = search.assert_any_discovery(claim);
    println!("{twin:?} breaks \"{claim}\":");
    for step in path.into_actions() {
        println!("    {step:?}");
    }
}

macro_rules! twins {
    ($($test:ident: $twin:ident breaks $claim:ident with $who:tt on $cpus:literal;)*) => {
        $(
            #[test]
            fn $test() {
                breaks(Twin::$twin, $claim, &$who, $cpus);
            }
        )*

        /// A twin without a test does not compile.
        #[allow(dead_code)]
        fn each_has_a_test(twin: Twin) {
            match twin {
                Twin::Right => {}
                $(Twin::$twin => {})*
            }
        }
    };
}

twins! {
    no_flush: NoFlush breaks FREED_TABLE with [Zap, Fault] on 1;
    free_before_flush: FreeBeforeFlush breaks FREED_TABLE with [Zap, Fault] on 1;
    pages_before_flush: PagesBeforeFlush breaks GIVEN_BACK with [Zap, Fault] on 1;
    flush_outside_table: FlushOutsideTable breaks FREED_TABLE with [Zap, Fault] on 1;
    not_freed_tables: NotFreedTables breaks FREED_TABLE with [Zap, Fault] on 2;
    no_rcu: NoRcu breaks FREED_TABLE with [Zap, Fault, Walker] on 1;
    no_shim: NoShim breaks ONE_SIZE with [Zap, Fault] on 1;
    shim_flushes_locally: ShimFlushesLocally breaks ONE_SIZE with [Zap, Fault] on 2;
    shim_skips_lazy: ShimSkipsLazy breaks ONE_SIZE with [Zap, Fault] on 2;
    no_recheck: NoRecheck breaks LOST_PAGE with [Zap, Fault] on 1;
    no_second_look: NoSecondLook breaks LOST_PAGE with [Zap, Fault] on 1;
    scan_no_second_look: ScanNoSecondLook breaks LOST_PAGE with [Scan, Fault] on 1;
    scan_unlocks_early: ScanUnlocksEarly breaks LOST_STORE with [Scan, Fault] on 1;
    scan_skips_lazy: ScanSkipsLazy breaks FREED_TABLE with [Scan, Fault] on 2;
    scan_no_rcu: ScanNoRcu breaks FREED_TABLE with [Scan, Walker] on 1;
    zap_not_covered: ZapNotCovered breaks LOST_PAGE with [Zap, Mremap] on 1;
    scan_not_covered: ScanNotCovered breaks LOST_PAGE with [Scan, Mremap] on 1;
    huge_skips_lazy: HugeSkipsLazy breaks ONE_SIZE with [Zap, Fault] on 2;
}

#[test]
fn a_scan_that_unlocks_early_mixes_page_sizes() {
    breaks(Twin::ScanUnlocksEarly, ONE_SIZE, &[Scan, Fault], 1);
}
