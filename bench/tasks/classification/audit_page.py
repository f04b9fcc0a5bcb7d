"""The images that change their class in an audit, counted and shown."""

from __future__ import annotations

import re
from collections import Counter

from assay.bench.report.page.blocks import Gallery, Picture, Section
from assay.bench.words.numbers import counted, scientific
from assay.numerics.classification.pictured import MOST_PICTURES, FlippedImage
from assay.records.audit import ModelAudit

SUBJECTS_NAMED = 4
MOST_SHOWN = 12
PICTURE = r"data:image/png;base64,[A-Za-z0-9+/=]*"
CHANGED_NOTHING = "no class changes"


def flips_in_words(flipped: list[FlippedImage]) -> str:
    """Say how many images change their class in any runtime or export, and how many of each set of inputs."""
    if not flipped:
        return CHANGED_NOTHING
    if len(flipped) == MOST_PICTURES:  # the record shows no more
        return f"{MOST_PICTURES} images or more change class in some runtime or export"
    sets = Counter(one.inputs for one in flipped)
    each = ", ".join(f"{name} {count}" for name, count in sets.items())
    verb = "changes" if len(flipped) == 1 else "change"
    return f"{counted(len(flipped), 'image')} {verb} class in some runtime or export ({each})"


def flips_section(model: ModelAudit, said: str, identifier: str) -> Section:
    """Show the images whose margin is largest, with pictures; `said` tells whose images they are."""
    lead = (
        "Every image that some subject classifies differently from float64, with its margin: the difference between "
        "the two best logits. At the decision boundary margins are as small as rounding, so that some of those change."
    )
    farthest = sorted(model.flipped, key=lambda one: -one.reference_margin)[:MOST_SHOWN]
    pictures = tuple(_picture(model, one) for one in farthest)
    heading = f"{counted(len(model.flipped), 'image')} of {model.name}"
    if len(pictures) < len(model.flipped):
        heading += f", the {len(pictures)} with the largest margins first; audit.json has all"
    return Section(identifier, "Changed classes", lead, (Gallery(heading, said, pictures),))


def _picture(model: ModelAudit, one: FlippedImage) -> Picture:
    def named(place: int) -> str:
        return model.classes[place] if place < len(model.classes) else f"class {place}"

    place = f"{one.inputs} {one.image}" + (
        "" if one.split_image is None else f" (image {one.split_image} of the split)"
    )
    facts = [f"reference: {named(one.reference_class)}, margin {scientific(one.reference_margin)}"]
    facts += [] if one.label is None else [f"label: {named(one.label)}"]
    for changed in dict.fromkeys(one.classes.values()):
        subjects = [name for name, found in one.classes.items() if found == changed]
        more = f" and {len(subjects) - SUBJECTS_NAMED} more" if len(subjects) > SUBJECTS_NAMED else ""
        margin = max(one.margins[name] for name in subjects)
        facts.append(
            f"{named(changed)}, margin up to {scientific(margin)}: {', '.join(subjects[:SUBJECTS_NAMED])}{more}"
        )
    source = one.picture if re.fullmatch(PICTURE, one.picture) else ""  # a record may name any place
    return Picture(source, f"Image {place}", place, tuple(facts))
