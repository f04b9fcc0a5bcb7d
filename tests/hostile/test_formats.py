"""Other people's model files stay data: nothing in them runs. docs/explanation/security.md describes each format."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pytest

from assay.bench.deployment.checking.acting import refuse_what_acts
from assay.boxed.boxing import Box
from assay.errors import InputError
from assay.jobs.process import Here
from assay.train.brought.sources import FILES
from tests.hostile.makers_of_models import Touch, programs

ROOT = Path(__file__).parents[2]
Answers = dict[str, str]

LOAD = """
import json, sys
from pathlib import Path
from assay.errors import AssayError
from assay.train.brought.sources import locate
kind, folder = sys.argv[1], Path(sys.argv[2])
module = __import__(f"assay.train.brought.loaders.on_{kind}", fromlist=["load"])
found = {}
for path in sorted(folder.iterdir()):
    if path.name == "marker":
        continue
    try:
        module.load(locate(str(path)))
        found[path.name] = "loaded"
    except AssayError as error:
        found[path.name] = f"{error.exit_code} {error}"
    if (folder / "marker").exists():
        found[path.name] += " RAN"
        (folder / "marker").unlink()
print("\\n" + json.dumps(found))
"""


def _loaded(kind: str, folder: Path, extra: Callable[[Path], object] = lambda folder: None) -> Answers:
    """The answer of Assay's own loader to every hostile file; "RAN" if something in it ran."""
    make = [sys.executable, "-m", "tests.hostile.makers_of_models", kind, str(folder)]
    subprocess.run(make, cwd=ROOT, check=True, capture_output=True)
    extra(folder)
    command = [sys.executable, "-c", LOAD, kind, str(folder)]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def torch_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("torch")


@pytest.fixture(scope="module")
def torch_answers(torch_folder: Path) -> Answers:
    return _loaded("torch", torch_folder)


NAMED = {
    "sample inputs": "data/sample_inputs/model.pt, is a pickle that contains more than tensors and could run code",
    "sample inputs, bare": "data/sample_inputs/model.pt",
    "old weights": "data/weights/model.pt",
    "old constants": "data/constants/model.pt",
    "a pickled weight": "model_weights_config.json",
    "a pickled constant": "model_constants_config.json",
    "a custom object": "custom_obj_0",
    "an opaque object": "opaque_obj_0",
    "a compiled library": "compiled code",
    "a member from nowhere": "data/other/thing.pkl",
    "a second program": "models/other.json",
}
"""Words that the message has to contain; "program" for all others."""
PROGRAMS = list(programs(Path("marker")))


def test_good_files_of_torch_are_loaded(torch_answers: Answers) -> None:
    assert torch_answers["good.pt2"] == "loaded"
    assert torch_answers["good.pt"] == "loaded"


@pytest.mark.parametrize("what", PROGRAMS)
def test_no_place_in_a_program_of_torch_runs_code(what: str, torch_answers: Answers) -> None:
    answer = torch_answers[f"bad{PROGRAMS.index(what)}.pt2"]
    assert answer.startswith("2 ")
    assert "RAN" not in answer
    assert NAMED.get(what, "models/model.json") in answer


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("forward.pt", "reads or writes files"),
        ("setstate.pt", "reads or writes files"),
        ("namespace.pt", "reads or writes files"),
        ("class.pt", "torch.classes.c10d"),
        ("member.pt", "model.json"),
        ("pickle.pt", ".pt"),
        ("before.pt", "not a plain zip"),
        ("before.pt2", "not a plain zip"),
    ],
)
def test_torchscript_that_acts_is_refused_before_it_is_loaded(file: str, words: str, torch_answers: Answers) -> None:
    answer = torch_answers[file]
    assert answer.startswith("2 ")
    assert "RAN" not in answer
    assert words in answer


@pytest.mark.usefixtures("torch_answers")
def test_torchscript_that_acts_is_not_served(torch_folder: Path) -> None:
    """A deployment may come from somebody else: its file is checked before anything opens it."""
    refuse_what_acts(torch_folder / "good.pt", "torch.script")
    for name, words in (("forward.pt", "reads or writes files"), ("class.pt", "c10d"), ("member.pt", "model.json")):
        with pytest.raises(InputError, match=words):
            refuse_what_acts(torch_folder / name, "torch.script")
    assert not (torch_folder / "marker").exists()


class NoHost(Here):
    """A machine on which no process can be started."""

    def start(
        self,
        module: str,
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        python: Path | None = None,
        box: Box | None = None,
    ) -> NoReturn:
        raise AssertionError("a process was started")


@pytest.mark.usefixtures("torch_answers")
def test_one_command_looks_at_a_file_once(torch_folder: Path) -> None:
    """A file that was refused is checked again."""
    refuse_what_acts(torch_folder / "good.pt", "torch.script")
    refuse_what_acts(torch_folder / "good.pt", "torch.script", NoHost())
    with pytest.raises(AssertionError, match="was started"):
        refuse_what_acts(torch_folder / "forward.pt", "torch.script", NoHost())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.usefixtures("torch_answers")
def test_trust_loads_what_acts_and_no_pickle(torch_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--trust reaches the job as a variable, which nobody else can set for it (`assay.boxed.boxing`)."""
    from assay.errors import AssayError  # noqa: PLC0415
    from assay.train.brought.loaders.on_torch import load_module  # noqa: PLC0415
    from assay.train.brought.sources import locate  # noqa: PLC0415

    monkeypatch.setenv("ASSAY_TRUSTED", "1")
    monkeypatch.chdir(torch_folder)
    assert callable(load_module(locate("forward.pt")))
    for name in ("pickle.pt", "a pickled weight.pt2"):
        with pytest.raises(AssayError):
            load_module(locate(name))
    assert not (torch_folder / "marker").exists()


TORCH_ITSELF = """
import json, sys
from pathlib import Path
import torch
folder, ran = Path(sys.argv[1]), []
for name in json.loads(sys.argv[2]):
    try:
        torch.export.load(folder / name).module()(torch.ones(2, 4))
    except Exception as error:
        print(error)
    ran += [name] if (folder / "marker").exists() else []
    (folder / "marker").unlink(missing_ok=True)
print("\\n" + json.dumps(ran))
"""
RUN_BY_TORCH = [
    "sample inputs", "sample inputs, bare", "old weights", "old constants", "a pickled weight", "a pickled constant",
    "an opaque object", "a size that is code", "a size with code inside", "a guard that is code",
]  # fmt: skip


@pytest.mark.slow
def test_torch_itself_would_have_run_them(torch_answers: Answers, torch_folder: Path) -> None:
    """Without this, these tests would show nothing."""
    assert torch_answers
    names = [f"bad{PROGRAMS.index(what)}.pt2" for what in RUN_BY_TORCH]
    command = [sys.executable, "-c", TORCH_ITSELF, str(torch_folder), json.dumps(names)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout.splitlines()[-1]) == names


def _damage(name: str, change: Callable[[dict[str, Any]], object], key: str = "config.json") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / "good.keras") as bundle:
            members = {one: bundle.read(one) for one in bundle.namelist()}
        if key == "config.json":
            config = json.loads(members[key])
            change(config)
            members[key] = json.dumps(config).encode()
        else:
            change(members)
        with zipfile.ZipFile(folder / f"{name}.keras", "w") as bundle:
            for one, content in members.items():
                bundle.writestr(one, content)

    return make


def _layer(config: dict[str, Any]) -> dict[str, Any]:
    return config["config"]["layers"][1]


KERAS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "lambda": (lambda one: _layer(one).update(class_name="Lambda"), "Lambda"),
    "lambda-inside": (
        lambda one: _layer(one)["config"].update(activation={"class_name": "__lambda__", "config": {"value": "x"}}),
        "__lambda__",
    ),
    "module": (lambda one: _layer(one).update(module="os", class_name="system"), "'os'"),
    "module-inside": (
        lambda one: _layer(one)["config"].update(
            activation={"module": "subprocess", "class_name": "function", "config": "run", "registered_name": "run"}
        ),
        "'run'",
    ),
    "utils": (lambda one: _layer(one).update(module="keras.utils", class_name="get_file"), "keras.utils"),
    "sources": (
        lambda one: _layer(one).update(module="keras.src.utils.python_utils", class_name="func_load"),
        "func_load",
    ),
    "loads": (
        lambda one: _layer(one)["config"].update(
            activation={"module": "keras.models", "class_name": "function", "config": "load_model"}
        ),
        "keras.models",
    ),
    "pickled": (lambda one: _layer(one).update(class_name="TorchModuleWrapper"), "a pickle"),
    "path": (lambda one: _layer(one).update(class_name="TFSMLayer"), "a path to another model"),
    "vocabulary": (lambda one: _layer(one)["config"].update(vocabulary="/etc/passwd"), "/etc/passwd"),
}


def _h5(change: Callable[[Any], object]) -> Callable[[dict[str, Any]], object]:
    import io  # noqa: PLC0415

    import h5py  # noqa: PLC0415

    def apply(members: dict[str, Any]) -> None:
        stream = io.BytesIO(members["model.weights.h5"])
        with h5py.File(stream, "r+") as file:
            change(file)
        members["model.weights.h5"] = stream.getvalue()

    return apply


def _external(file: Any) -> None:
    import h5py  # noqa: PLC0415

    file["outside"] = h5py.ExternalLink("/etc/passwd", "/")


def _soft(file: Any) -> None:
    import h5py  # noqa: PLC0415

    file["soft"] = h5py.SoftLink("/layers")


KERAS_MEMBERS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "traversal": (lambda members: members.update({"../outside": b"x"}), "'../outside'"),
    "assets": (lambda members: members.update({"assets/words.txt": b"x"}), "assets"),
    "npz": (lambda members: members.update({"model.weights.npz": b"x"}), "model.weights.npz"),
    "no-config": (lambda members: members.pop("config.json"), "config.json"),
    "brackets": (lambda members: members.update({"config.json": b"[" * 100_000}), "nested deeper"),
    "external": (_h5(_external), "a link"),
    "soft": (_h5(_soft), "a link"),
    "storage": (
        _h5(lambda file: file.create_dataset("x", (4,), "u1", external=[("/etc/passwd", 0, 4)])),
        "is stored in another file",
    ),
    "bomb": (
        _h5(lambda file: file.create_dataset("x", (10**7, 10**6), "f4", chunks=(1000, 1000), compression="gzip")),
        "more memory",
    ),
}


def _as_older(folder: Path, name: str) -> None:
    """Write the configuration of a `.keras` file as an `.h5` file has it."""
    with zipfile.ZipFile(folder / f"{name}.keras") as bundle, h5py.File(folder / f"{name}.h5", "w") as file:
        file.attrs["model_config"] = bundle.read("config.json").decode()


def _more_of_tf(folder: Path) -> None:
    for name, (change, _) in KERAS.items():
        _damage(name, change)(folder)
        _as_older(folder, name)
    _as_older(folder, "good")
    with h5py.File(folder / "good.h5", "a") as file:
        file["weights"] = h5py.ExternalLink("/etc/passwd", "/")
    with h5py.File(folder / "weights alone.h5", "w") as file:
        file["kernel"] = [1.0]
    for name, (change, _) in KERAS_MEMBERS.items():
        _damage(name, change, key="")(folder)
    for name in ("saved_model.pbtxt", "saved_model.cpb"):
        second = folder / f"second-{name.rpartition('.')[2]}"
        second.mkdir()
        (second / "saved_model.pb").write_bytes((folder / "good" / "saved_model.pb").read_bytes())
        (second / name).write_bytes(b"")
    linked = folder / "linked"
    (linked / "variables").mkdir(parents=True)
    (linked / "saved_model.pb").write_bytes((folder / "good" / "saved_model.pb").read_bytes())
    (linked / "variables" / "variables.data-00000-of-00001").symlink_to("/etc/passwd")
    damaged = folder / "damaged"
    damaged.mkdir()
    (damaged / "saved_model.pb").write_bytes(b"\x00\x01 no model")


@pytest.fixture(scope="module")
def tf_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tf")


@pytest.fixture(scope="module")
def tf_answers(tf_folder: Path) -> Answers:
    return _loaded("tf", tf_folder, _more_of_tf)


@pytest.mark.usefixtures("tf_answers")
def test_a_saved_model_that_acts_is_not_served(tf_folder: Path) -> None:
    refuse_what_acts(tf_folder / "good" / "saved_model.pb", "tf.function")
    with pytest.raises(InputError, match="WriteFile"):
        refuse_what_acts(tf_folder / "writes" / "saved_model.pb", "tf.function")


def test_files_that_cannot_act_are_not_opened_to_check_them(tmp_path: Path) -> None:
    refuse_what_acts(tmp_path / "nowhere.onnx", "ort.cpu")


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("writes", "WriteFile"),
        ("prints", "PrintV2"),
        ("reads", "ReadFile"),
        ("calls", "EagerPyFunc"),
        ("lists", "MatchingFiles"),
        ("second-pbtxt", "a second program"),
        ("second-cpb", "a second program"),
        ("damaged", "cannot be read"),
        ("linked", "a link that leads out of it"),
    ],
)
def test_a_saved_model_that_acts_is_refused_before_it_is_loaded(folder: str, words: str, tf_answers: Answers) -> None:
    answer = tf_answers[folder]
    assert answer.startswith("2 ")
    assert "RAN" not in answer
    assert words in answer


def test_good_files_of_tensorflow_are_loaded(tf_answers: Answers) -> None:
    assert tf_answers["good.keras"] == "loaded"
    assert tf_answers["whole.h5"] == "loaded"
    assert tf_answers["good"] == "loaded"
    assert tf_answers["huge"] == "loaded"


@pytest.mark.parametrize("name", [*KERAS, *KERAS_MEMBERS])
def test_a_keras_file_names_only_keras_own_classes(name: str, tf_answers: Answers) -> None:
    answer = tf_answers[f"{name}.keras"]
    assert answer.startswith("2 ")
    assert "RAN" not in answer
    assert (KERAS | KERAS_MEMBERS)[name][1] in answer


@pytest.mark.parametrize(
    ("name", "words"),
    [*((name, words) for name, (_, words) in KERAS.items()), ("good", "a link"), ("weights alone", "and no model")],
)
def test_an_older_file_of_keras_is_looked_at_in_the_same_way(name: str, words: str, tf_answers: Answers) -> None:
    answer = tf_answers[f"{name}.h5"]
    assert answer.startswith("2 ")
    assert "RAN" not in answer
    assert words in answer


def test_a_pickle_under_any_ending_is_not_a_model(tmp_path: Path) -> None:
    import pickle  # noqa: PLC0415

    from assay.errors import ArtifactError, InputError  # noqa: PLC0415
    from assay.train.brought.files.on_keras_file import check_keras_file  # noqa: PLC0415
    from assay.train.brought.sources import locate  # noqa: PLC0415

    for ending in ("h5", "keras"):
        path = tmp_path / f"model.{ending}"
        path.write_bytes(pickle.dumps(Touch(tmp_path / "marker")))
        with pytest.raises(ArtifactError, match="cannot be loaded"):
            check_keras_file(path)
    for ending in ("pkl", "pickle", "joblib", "bin", "npz", "mlmodel", "gguf", "pb"):
        path = tmp_path / f"model.{ending}"
        path.write_bytes(pickle.dumps(Touch(tmp_path / "marker")))
        with pytest.raises(InputError, match="not a model of a known kind"):
            locate(str(path))
    assert not (tmp_path / "marker").exists()


def test_a_file_that_is_not_litert_is_refused_by_its_interpreter(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    import pickle  # noqa: PLC0415

    from assay.errors import ArtifactError  # noqa: PLC0415
    from assay.train.brought.loaders.on_litert import load  # noqa: PLC0415
    from assay.train.brought.sources import locate  # noqa: PLC0415

    path = tmp_path / "model.tflite"
    path.write_bytes(pickle.dumps(Touch(tmp_path / "marker")))
    with pytest.raises(ArtifactError, match="cannot be loaded"):
        load(locate(str(path)))
    assert not (tmp_path / "marker").exists()


def test_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    from assay.errors import InputError  # noqa: PLC0415
    from assay.export.pairs.pair_inputs import read_arrays  # noqa: PLC0415

    objects = np.array([Touch(tmp_path / "marker")], object)
    np.savez(tmp_path / "x.npz", x=objects)
    (tmp_path / "folder").mkdir()
    np.save(tmp_path / "folder" / "x.npy", objects)
    for path in (tmp_path / "x.npz", tmp_path / "folder"):
        with pytest.raises(InputError, match="holds Python objects"):
            read_arrays(path)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000, b"x = " + b"[" * 100_000])
def test_brackets_without_end_are_one_message(content: bytes, tmp_path: Path) -> None:
    from assay.errors import InputError  # noqa: PLC0415
    from assay.records.audit import read_audit  # noqa: PLC0415
    from assay.records.deployment import read_deployment  # noqa: PLC0415
    from assay.records.load import read_load  # noqa: PLC0415
    from assay.records.results import read_results  # noqa: PLC0415
    from assay.store import read_artifact  # noqa: PLC0415
    from assay.study import load_study  # noqa: PLC0415

    for name in ("record.json", "deployment.json", "manifest.json"):
        (tmp_path / name).write_bytes(content)
    record = tmp_path / "record.json"
    for read in (read_audit, read_results, read_load, load_study):
        with pytest.raises(InputError, match=r"record\.json"):
            read(record)
    with pytest.raises(InputError, match=r"deployment\.json"):
        read_deployment(tmp_path)
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_artifact(tmp_path, "study")


def test_records_of_an_absurd_size_are_refused(tmp_path: Path) -> None:
    from assay.errors import InputError  # noqa: PLC0415
    from assay.records.audit import read_audit  # noqa: PLC0415
    from assay.records.results import read_results  # noqa: PLC0415
    from assay.study import load_study  # noqa: PLC0415

    path = tmp_path / "record.json"
    with path.open("wb") as stream:
        stream.truncate(10 << 30)  # without a block on disk
    for read in (read_audit, read_results, load_study):
        with pytest.raises(InputError, match="too large for a record"):
            read(path)


def test_a_table_that_declares_more_rows_than_memory_holds_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import polars  # noqa: PLC0415

    from assay.errors import ArtifactError  # noqa: PLC0415
    from assay.files import tables  # noqa: PLC0415

    path = tmp_path / "samples[1].parquet"
    polars.DataFrame({"a": [1] * 1000}).write_parquet(path)
    assert len(tables.read_table(path)) == 1000
    monkeypatch.setattr(tables, "BYTES_PER_VALUE", tables.most_bytes() // 500)
    with pytest.raises(ArtifactError, match=r"more memory.*found 1,000"):
        tables.read_table(path)
    path.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    with pytest.raises(ArtifactError, match="cannot be read"):
        tables.read_table(path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        (1 << 62).to_bytes(8, "little"),
        (100).to_bytes(8, "little")
        + b'{"x":{"dtype":"F32","shape":[10000000000],"data_offsets":[0,40000000000]}}'.ljust(100),
        (20).to_bytes(8, "little") + b"[" * 20,
    ],
)
def test_weights_whose_header_lies_are_refused(content: bytes, tmp_path: Path) -> None:
    from assay.errors import ArtifactError  # noqa: PLC0415
    from assay.train.weights import load_weights  # noqa: PLC0415

    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        load_weights(path)


SECURITY = ROOT / "docs" / "explanation" / "security.md"
ROW = re.compile(r"^\| (?P<format>.+?) \|.*\| `(?P<file>tests/[\w/.]+)::(?P<test>\w+)` \|$", re.MULTILINE)
MODULES = {
    "tomllib": ".toml", "zipfile": "`.zip`", "h5py": "`.h5`", "safetensors": "`.safetensors`", "onnx": "`.onnx`",
    "PIL": "images", "polars": "`.parquet`", "json": ".json", "csv": "", "pickle": None, "cPickle": None,
    "dill": None, "cloudpickle": None, "joblib": None, "marshal": None, "shelve": None, "yaml": None, "tarfile": None,
    "pandas": None, "pyarrow": None, "tables": None, "msgpack": None, "configparser": None,
}  # fmt: skip
"""Modules that read files: the format's row, or None for those that Assay does not use. A first use needs a row."""


def _rows() -> list[re.Match[str]]:
    return list(ROW.finditer(SECURITY.read_text(encoding="utf-8")))


def _sources() -> list[Path]:
    return [
        path for package in ("assay", "train", "export", "infer", "bench") for path in (ROOT / package).rglob("*.py")
    ]


def test_every_row_names_a_test_that_exists() -> None:
    rows = _rows()
    table = [line for line in SECURITY.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) == len(table) - 1  # its head
    for row in rows:
        tree = ast.parse((ROOT / row["file"]).read_text(encoding="utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert row["test"] in names, row["test"]


def test_every_form_of_a_model_has_a_row() -> None:
    formats = " ".join(row["format"] for row in _rows())
    for ending in FILES:
        assert f"`{ending}`" in formats
    assert "SavedModel" in formats
    assert "FILE.py:FUNCTION" in formats


def test_every_module_that_reads_files_has_a_row() -> None:
    formats = " ".join(row["format"] for row in _rows())
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for module in {name.partition(".")[0] for name in names} & set(MODULES):
                wanted = MODULES[module]
                assert wanted is not None, f"{path} imports {module}"
                assert wanted in formats


def test_every_reader_is_known() -> None:
    """Nothing is unpickled, and a model is only loaded behind its checker.

    The code that opens a deployment's file imports nothing of ours; `refuse_what_acts` has checked the file before.
    """
    loads = {
        "torch.load": {"train/brought/files/on_torch_archive.py"},
        "torch.jit.load": {"train/brought/files/on_torch_archive.py", "infer/server/opened/on_torch.py"},
        "torch.export.load": set(),
        "keras.models.load_model": {"train/brought/loaders/on_tf.py"},
        "tf.saved_model.load": {
            "train/brought/loaders/on_tf.py",
            "infer/server/opened/on_tf.py",
            "bench/python/live/on_tf.py",  # what it has written itself, of a model that is alive
        },
        "torch._C._aoti.AOTIModelPackageLoader": {
            "infer/runtimes/inductor/on_torch_packages.py",
            "infer/server/opened/on_torch_package.py",
        },
        "np.load": set(),
        "polars.read_parquet": {"assay/files/tables.py"},
    }
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            if name in loads:
                assert str(path.relative_to(ROOT)) in loads[name], f"{name} in {path}"
            words = {one.arg: one.value for one in node.keywords}
            if name == "torch.load":
                assert ast.unparse(words["weights_only"]) == "True"
            assert "allow_pickle" not in words or ast.unparse(words["allow_pickle"]) == "False"
            assert "safe_mode" not in words or ast.unparse(words["safe_mode"]) == "not trusted"
