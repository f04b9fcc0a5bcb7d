"""The precision of products in XLA, which may change the types of a function, as it does with bf16 on a CPU.

It is read from the text of the compiled module: dot, convolution, and calls of a GPU's libraries in their place.
"""

from __future__ import annotations

import re
from collections import Counter

from assay.numerics.precisions import least_exact, precision_named

MADE = re.compile(r"^\s*(?:ROOT )?%?(?P<name>[\w.-]+) = \(?(?P<type>\w+)\[", re.MULTILINE)
TAKEN = re.compile(r"%?(?P<name>\w[\w.-]*) = \(?(?P<type>\w+)\[[^=]*? (?P<does>[\w-]+)\((?P<of>[^)]*)\)(?P<rest>.*)")
PRODUCTS = ("dot", "convolution", "ragged-dot")
LIBRARIES = re.compile(r'custom_call_target="__(?:cublas|cudnn|onednn)')


def precisions_of(text: str) -> Counter[str]:
    """Count products by precision, the least exact type among the operands of each."""
    types = {found["name"]: found["type"] for found in MADE.finditer(text)}
    found: Counter[str] = Counter()
    for line in text.splitlines():
        told = TAKEN.search(line)
        if told is None or not (told["does"] in PRODUCTS or LIBRARIES.search(told["rest"])):
            continue
        operands = [one.strip().rpartition("%")[2] for one in told["of"].split(",")]
        kinds = [precision_named(types.get(one.rpartition(" ")[2], "")) for one in operands[:2]]
        if precision := least_exact(kinds):
            found[precision] += 1
    return found
