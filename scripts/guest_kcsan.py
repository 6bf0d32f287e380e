# SPDX-License-Identifier: GPL-2.0
"""KCSAN's reports: which are about the module or the patches, and which the kernel has without
them. Linux is not free of data races, so only the former are reports for scripts/guest."""
import re

TITLE = re.compile(rb"BUG: KCSAN: (.*)")
# From one line of "=" to the next; the last one may be missing yet.
REPORT = re.compile(rb"^(?:\[[^\]]*\] *)*=+\n(?:\[[^\]]*\] *)*BUG: KCSAN: (?:.*\n)*?"
                    rb"(?:(?:\[[^\]]*\] *)*=+\n|\Z)", re.M)
# A function of the module anywhere in a stack, or one that only the patches have.
OURS = re.compile(rb"\+0x[0-9a-f]+/0x[0-9a-f]+ \[ptreclaim\]"
                  rb"|\b(?:pt_reclaim_\w+|arch_flush_tlb_before_set_pmd)\+0x")


def split(log):
    """The log without the reports that are none of ours, and the titles of those."""
    titles = []

    def keep(found):
        text = found.group()
        if OURS.search(text):
            return text
        titles.append(TITLE.search(text).group(1).decode(errors="replace").strip())
        return b""

    return REPORT.sub(keep, log), titles
