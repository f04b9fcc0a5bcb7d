"""A user's TensorFlow model: a SavedModel, a .keras file, or a function that is or returns a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter

import keras
import numpy as np
import tensorflow as tf

from assay.boxed.boxing import is_trusted
from assay.errors import ArtifactError, InputError
from assay.foreign import said_by
from assay.numerics.rounding import rounding_of
from assay.numerics.values import difference
from assay.train.brought.binding import binding_of, parameters_of
from assay.train.brought.files.on_keras_file import check_keras_file
from assay.train.brought.files.on_saved_model import check_saved_model
from assay.train.brought.libraries.made import MadeModel, made
from assay.train.brought.loaders.loaded import Array, Called, Compute, Lines, LoadedModel
from assay.train.brought.model import Declared, Location, UserModel, unnamed
from assay.train.brought.named.on_keras import call_of, declared_by, layers_of
from assay.train.brought.outputs import kept_outputs, named_outputs
from assay.train.brought.source import explained

SIGNATURE = "serving_default"
Forward = Callable[..., dict[str, tf.Tensor]]
"""A function from tensors by position to tensors by name."""


@dataclass(frozen=True)
class TensorProgram:
    """A callable of tensors.

    Attributes:
        declared: its inputs, if the model declares them.
        keeps: objects that must live as long as the callable: a SavedModel's functions do not hold its variables.
        made: the object that a function or library made; None of a file.
        layers: names of the classes of its layers, of a Keras model.
        bound: makes a callable of tensors by position from the names of the inputs; raises InputError where one fits no
            argument.
    """

    declared: tuple[Declared, ...]
    keeps: object
    made: MadeModel | None = field(default=None, kw_only=True)
    layers: frozenset[str] = field(default=frozenset(), kw_only=True)
    bound: Callable[[Sequence[str]], Callable[..., object]] = field(repr=False)


def load(location: Location) -> LoadedModel:
    """
    Raises:
        ArtifactError: the file is not what its extension says.
        InputError: the function fails, or returns no model.
    """
    program, told = _load_program(location), list[str]()

    def called(names: Sequence[str], without: Sequence[str], narrow: Sequence[str] = ()) -> Called:
        forward = _by_name(program, names, without, str(location), narrow)
        return _as_traced(forward, location, told), lambda: _double(forward, location)

    def places(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> int | None:
        return _fewest_places(_by_name(program, names, without, str(location), cast), inputs)

    kernels, in_lines = set[str](), dict[str, Lines]()

    def narrow(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> str:
        from assay.train.brought.narrow.on_tf import (  # noqa: PLC0415  beside `on_tf_double`
            is_unordered,
            kernels_of,
            lines_of,
            narrow_arithmetic,
            traced_nodes,
        )

        forward = _by_name(program, names, without, str(location), cast)
        found = traced_nodes(forward, inputs)
        if any(map(is_unordered, found)):
            in_lines.update(lines_of(forward, inputs))
        kernels.update({f"keras::{name}" for name in program.layers} or kernels_of(found))
        return narrow_arithmetic(found)

    def training(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> tuple[str, ...]:
        from assay.train.brought.narrow.on_tf import traced_functions  # noqa: PLC0415  beside `on_tf_double`
        from assay.train.brought.training.on_tf import layers_in_training  # noqa: PLC0415  only a refusal needs it

        return layers_in_training(traced_functions(_by_name(program, names, without, str(location), cast), inputs))

    return LoadedModel(
        program.declared,
        called,
        made=program.made,
        places=places,
        narrow=narrow,
        training=training,
        kernels=lambda: tuple(sorted(kernels)),
        in_lines=lambda: in_lines,
        told=told,
    )


def load_forward(model: UserModel) -> tuple[Forward, object]:
    """Return the model as a function of tensors, and the objects that must live as long; same errors as `load`."""
    program = _load_program(model.location)
    names = [one.name for one in model.inputs]
    return _by_name(program, names, model.without, str(model.location), model.narrow), program.keeps


def _by_name(
    program: TensorProgram, names: Sequence[str], without: Sequence[str], what: str, narrow: Sequence[str] = ()
) -> Forward:
    bound = program.bound(names)

    def forward(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        given = [tf.cast(one, tf.bfloat16) if name in narrow else one for name, one in zip(names, tensors, strict=True)]
        found = kept_outputs(named_outputs(bound(*given), tf.is_tensor, sort=True), tf.is_tensor, without, what)
        return {name: tf.cast(one, tf.float32) if one.dtype == tf.bfloat16 else one for name, one in found.items()}

    return forward


def _load_program(location: Location) -> TensorProgram:
    if location.form == "saved-model":
        return _saved_model(location)
    if location.form == "keras":
        return _keras(_read_keras(location), location)
    of_code = made(location)
    found = of_code.model
    if isinstance(found, keras.Model):
        return replace(_keras(found, location), made=of_code)
    if not callable(found):
        raise InputError(
            f"{location} does not give a model", expected="a Keras model or a tf.function", found=type(found).__name__
        )
    return _function(found, location)


def _function(function: Callable[..., object], location: Location) -> TensorProgram:
    """Describe a function, or an object with `__call__`, whether it is a tf.function or not."""
    named = function if hasattr(function, "input_signature") else getattr(function, "__call__", function)  # noqa: B004
    parameters = parameters_of(named)
    signature = getattr(named, "input_signature", None) or ()
    arguments = [one.name for one in parameters or () if one.kind is not Parameter.KEYWORD_ONLY]
    specs: dict[str, tf.TypeSpec] = {}
    for place, spec in enumerate(signature):
        argument = arguments[place] if place < len(arguments) else f"input_{place}"
        name = str(getattr(spec, "name", None) or argument)
        specs |= named_outputs({name: spec}, _is_spec, sort=True)

    def bound(given: Sequence[str]) -> Callable[..., object]:
        if specs and {*given} <= {*specs}:
            return lambda *tensors: function(*_packed(signature, specs, dict(zip(given, tensors, strict=True))))
        binding = binding_of(parameters, given, str(location))
        return lambda *tensors: binding.call(function, tensors)

    return TensorProgram(_declared_of([*specs.values()], [*specs]), function, bound)


def _is_spec(value: object) -> bool:
    return isinstance(value, tf.TypeSpec)


def _packed(signature: Sequence[object], names: Collection[str], tensors: Mapping[str, tf.Tensor]) -> Sequence[object]:
    """Return tensors by name in the containers of a signature."""
    given = [tensors[name] for name in names if name in tensors]
    return list(tf.nest.pack_sequence_as(signature, given)) if len(given) == len(names) else given


def _read_keras(location: Location) -> keras.Model:
    trusted = is_trusted()
    if not trusted:
        check_keras_file(location.path)
    try:
        return keras.models.load_model(location.path, compile=False, safe_mode=not trusted)
    except Exception as error:  # Keras may raise anything
        raise ArtifactError(
            f"{location} cannot be loaded",
            expected="a file written by keras.Model.save",
            found=said_by(error),
            remedy="A model with custom layers needs their code: give FILE.py:FUNCTION",
        ) from error


def _keras(model: keras.Model, location: Location) -> TensorProgram:
    """Describe a Keras model: its inputs by name, with training switched off."""
    return TensorProgram(
        declared_by(model), model, lambda names: call_of(model, names, str(location)), layers=layers_of(model)
    )


def _saved_model(location: Location) -> TensorProgram:
    check_saved_model(location.path, trusted=is_trusted())
    try:
        root = tf.saved_model.load(str(location.path))
    except Exception as error:  # TensorFlow may raise anything
        raise ArtifactError(f"{location} cannot be loaded", expected="a SavedModel", found=said_by(error)) from error
    if SIGNATURE not in root.signatures:
        raise InputError(
            f"{location} has no signature '{SIGNATURE}'", found=", ".join(root.signatures) or "no signature at all"
        )
    function = root.signatures[SIGNATURE]
    specs = function.structured_input_signature[1]

    def bound(names: Sequence[str]) -> Callable[..., object]:
        return lambda *tensors: function(**dict(zip(names, tensors, strict=True)))

    return TensorProgram(_declared_of(list(specs.values()), list(specs)), root, bound)


def _declared_of(specs: Sequence[tf.TensorSpec], names: Sequence[str]) -> tuple[Declared, ...]:
    found = []
    for name, spec in zip(names, specs, strict=True):
        any_rank = spec.shape.rank is None
        sizes = () if any_rank else spec.shape
        shape = tuple(unnamed(name, at) if size is None else int(size) for at, size in enumerate(sizes))
        found.append(Declared(name=name, dtype=spec.dtype.name, shape=shape, any_rank=any_rank))
    return tuple(found)


def _compute(forward: Forward, location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = forward(*map(tf.constant, inputs))
            return {name: np.asarray(value) for name, value in outputs.items()}

    return compute


def _as_traced(forward: Forward, location: Location, told: list[str]) -> Compute:
    """Return a model called directly; or as a tf.function, as Keras' `predict` and every export compute it, where its
    outputs differ in one, for which `told` gets a sentence.
    """
    chosen: list[Compute] = []

    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        if chosen:
            return chosen[0](inputs)
        called = _compute(forward, location)
        traced = _compute(tf.function(forward, autograph=False, reduce_retracing=True), location)
        outputs = called(inputs)
        try:
            outputs_traced = traced(inputs)
        except InputError:  # whatever traces it later will say why
            chosen.append(called)
            return outputs
        most = _repeatable(forward, inputs)
        apart = difference(outputs, outputs_traced, most)
        if not apart or difference(outputs, called(inputs), most):  # a state or random numbers are another matter
            chosen.append(called)
            return outputs
        said = f"Its outputs in a tf.function differ from those outside ({apart}); the former are compared."
        told.extend([said] if said not in told else [])
        chosen.append(traced)
        return outputs_traced

    return compute


def _repeatable(forward: Forward, inputs: Sequence[Array]) -> float:
    """Return how far two calls may be apart, over the largest output, in the precision of the model."""
    from assay.train.brought.narrow.on_tf import narrow_arithmetic, traced_nodes  # noqa: PLC0415  beside `on_tf_double`

    return rounding_of(narrow_arithmetic(traced_nodes(forward, inputs))).repeatable


def _double(forward: Forward, location: Location) -> Compute:
    """Return its graph in float64."""
    from assay.train.brought.double.on_tf import double_of  # noqa: PLC0415  only a reference needs it

    compute = double_of(forward)

    def explaining(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...) in float64"):
            return compute(inputs)

    return explaining


def _fewest_places(forward: Forward, inputs: Sequence[Array]) -> int | None:
    """Return the fewest places of any operator that silently gives nothing for an index beyond them."""
    from assay.train.brought.narrow.on_tf import traced_functions  # noqa: PLC0415  beside `on_tf_double`

    found = []
    for nodes in traced_functions(forward, inputs):
        constants = {node.name: node.attr["value"].tensor for node in nodes if node.op == "Const"}
        depths = [node.input[1].partition(":")[0] for node in nodes if node.op == "OneHot"]
        found += [int(tf.make_ndarray(constants[depth])) for depth in depths if depth in constants]
    return min(found, default=None)
