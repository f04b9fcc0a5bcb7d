"""A user's TensorFlow model: a SavedModel, a .keras file, or a function that is or returns a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from inspect import Parameter

import keras
import numpy as np
import tensorflow as tf

from assay.boxed.boxing import is_trusted
from assay.errors import ArtifactError, InputError
from assay.foreign import said_by
from assay.train.brought.binding import binding_of, parameters_of
from assay.train.brought.files.on_keras_file import check_keras_file
from assay.train.brought.files.on_saved_model import check_saved_model
from assay.train.brought.libraries.made import MadeModel, made
from assay.train.brought.loaders.loaded import Array, Called, Compute, LoadedModel
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
    program = _load_program(location)

    def called(names: Sequence[str], without: Sequence[str], narrow: Sequence[str] = ()) -> Called:
        forward = _by_name(program, names, without, str(location), narrow)
        return _compute(forward, location), lambda: _double(forward, location)

    def places(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> int | None:
        return _fewest_places(_by_name(program, names, without, str(location), cast), inputs)

    kernels = set[str]()

    def narrow(
        names: Sequence[str], inputs: Sequence[Array], without: Sequence[str] = (), cast: Sequence[str] = ()
    ) -> str:
        from assay.train.brought.narrow.on_tf import kernels_of, narrow_arithmetic, traced_nodes  # noqa: PLC0415  beside `on_tf_double`

        found = traced_nodes(_by_name(program, names, without, str(location), cast), inputs)
        kernels.update({f"keras::{name}" for name in program.layers} or kernels_of(found))
        return narrow_arithmetic(found)

    return LoadedModel(
        program.declared,
        called,
        made=program.made,
        places=places,
        narrow=narrow,
        kernels=lambda: tuple(sorted(kernels)),
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
    specs = getattr(named, "input_signature", None) or ()
    arguments = [one.name for one in parameters or () if one.kind is not Parameter.KEYWORD_ONLY]
    names = [
        str(spec.name or (arguments[place] if place < len(arguments) else f"input_{place}"))
        for place, spec in enumerate(specs)
    ]

    def bound(given: Sequence[str]) -> Callable[..., object]:
        if names and set(given) <= set(names):
            return function
        binding = binding_of(parameters, given, str(location))
        return lambda *tensors: binding.call(function, tensors)

    return TensorProgram(_declared_of(specs, names), function, bound)


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
        if spec.shape.rank is None:
            raise InputError(f"Input '{name}' has no fixed rank", remedy="Give the function an input_signature")
        shape = tuple(unnamed(name, at) if size is None else int(size) for at, size in enumerate(spec.shape))
        found.append(Declared(name=name, dtype=spec.dtype.name, shape=shape))
    return tuple(found)


def _compute(forward: Forward, location: Location) -> Compute:
    def compute(inputs: Sequence[Array]) -> dict[str, Array]:
        with explained(location.path, f"{location.name}(...)"):
            outputs = forward(*map(tf.constant, inputs))
            return {name: np.asarray(value) for name, value in outputs.items()}

    return compute


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
    specs = [tf.TensorSpec(one.shape, one.dtype) for one in inputs]
    try:
        graph = tf.function(forward, autograph=False).get_concrete_function(*specs).graph.as_graph_def()
    except Exception:  # noqa: BLE001  the user's code may raise anything; what cannot be traced shows no places
        return None
    found = []
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        constants = {node.name: node.attr["value"].tensor for node in nodes if node.op == "Const"}
        depths = [node.input[1].partition(":")[0] for node in nodes if node.op == "OneHot"]
        found += [int(tf.make_ndarray(constants[depth])) for depth in depths if depth in constants]
    return min(found, default=None)
