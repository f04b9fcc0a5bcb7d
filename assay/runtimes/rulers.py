"""Runtimes that run no model: the instrument's own zero, and those whose time is known by construction."""

from __future__ import annotations

from functools import partial

from assay.runtimes.entry import Family, Looks, RuntimeEntry

FAMILY = Family(
    name="rulers",
    words="No framework",
    framework="",
    looks=Looks(
        "cross",
        ("#6b6f76", "#868a91", "#4e5258", "#7a7e85", "#5d6168"),
        ("#9aa0a8", "#b8bdc4", "#80868e", "#a9aeb5", "#8d939b"),
    ),
    place=6,
)
entry = partial(RuntimeEntry, family=FAMILY)
NULL = entry(
    name="null",
    target="assay.infer.runtimes.null:load",
    summary="does nothing: the ruler's own zero",
    ruler="zero",
    unasked=("study", "model", "file"),
)
CALIBRATED = entry(
    name="calibrated",
    target="assay.infer.runtimes.calibrated:load",
    summary="does work of known duration, for assay selfcheck",
    devices=("cpu", "cuda"),
    ruler="known",
)
SLOWER_3 = entry(
    name="calibrated.slower3",
    target="assay.infer.runtimes.calibrated:load_slower_3",
    summary="the same with 3 % more work",
    devices=("cpu", "cuda"),
    ruler="known",
)
SLOWER_10 = entry(
    name="calibrated.slower10",
    target="assay.infer.runtimes.calibrated:load_slower_10",
    summary="the same with 10 % more work",
    devices=("cpu", "cuda"),
    ruler="known",
)
SPLIT = entry(
    name="calibrated.split",
    target="assay.infer.runtimes.calibrated:load_split",
    summary="known overhead, then a known kernel",
    ruler="known",
)
SKELETON = entry(
    name="calibrated.skeleton",
    target="assay.infer.runtimes.calibrated:load_skeleton",
    summary="the same overhead without the kernel",
    ruler="known",
)
ENTRIES = (NULL, CALIBRATED, SLOWER_3, SLOWER_10, SPLIT, SKELETON)
