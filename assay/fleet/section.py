"""The section of a study file that says on which machines the study is timed."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

LOCAL = "local"
"""The address of this machine, which needs no engine."""
EACH_KIND: Final = "each kind"
Count = Annotated[int, Field(ge=1, le=1000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
NAMES, KINDS = "names", "kinds"


def _form_of(machines: object) -> str:
    """Return which of its three forms `machines` has, so that an error is about that one."""
    return KINDS if isinstance(machines, dict) else NAMES if isinstance(machines, list | tuple) else EACH_KIND


Machines = Annotated[
    Annotated[Literal["each kind"], Tag(EACH_KIND)]
    | Annotated[tuple[Name, ...], Tag(NAMES)]
    | Annotated[dict[Name, Count], Tag(KINDS)],
    Discriminator(_form_of),
]


class StudySection(BaseModel):
    """Base of the sections of a study file: unknown keys are errors, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FleetSection(StudySection):
    """[fleet]

    Attributes:
        address: "local" for this machine alone, "auto" for the cluster that this machine belongs to, or a cluster's
            address, "ray://head:10001" or "head:6379".
        machines: "each kind" to time the study on one machine of each kind; names of machines, each of which times all
            of it; or by kind of machine the number that time all of it. A machine is called by its label `name`, its
            node's name or the beginning of its identity, a kind by the label `kind`, its instance type or the beginning
            of its key, six characters or more.
        wait_minutes: longest wait for a machine where there is none.
        selfcheck_minutes: longest self-check of a machine before it times for the first time since it was started; 0
            for none. A machine that does not pass gets no timing.
    """

    address: Name = LOCAL
    machines: Machines = EACH_KIND
    wait_minutes: float = Field(default=30, gt=0, le=7 * 24 * 60)
    selfcheck_minutes: float = Field(default=5, ge=0, le=60)

    @field_validator("machines", mode="before")
    @classmethod
    def _one_of_three(cls, machines: object) -> object:
        if machines != EACH_KIND and not isinstance(machines, list | tuple | dict):
            raise ValueError(f'expected "{EACH_KIND}", a list of names, or a number for each kind')
        return machines

    @model_validator(mode="after")
    def _machines_are_asked_for(self) -> Self:
        if not self.machines:
            raise ValueError('machines names none: give "each kind", names, or a number for each kind')
        if isinstance(self.machines, tuple) and len(set(self.machines)) < len(self.machines):
            raise ValueError("machines names one twice")
        return self
