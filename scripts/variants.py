# SPDX-License-Identifier: GPL-2.0
"""The kernels of kunit/variants, for Python; bash has variant() in scripts/lib.sh."""
from pathlib import Path
from typing import NamedTuple, Optional

TABLE = Path(__file__).resolve().parent.parent / "kunit/variants"


class Variant(NamedTuple):
    name: str
    options: list[str]
    module: Optional[str]
    slower: int
    boot: list[str]


def words(field):
    return [] if field == "-" else field.split()


def read():
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            name, options, module, slower, boot = (field.strip() for field in line.split("|"))
            module = None if module == "none" else module
            yield name, Variant(name, words(options), module, int(slower), words(boot))


VARIANTS = dict(read())
