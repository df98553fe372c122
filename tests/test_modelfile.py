"""Model files: the same bits after a round trip, and an error for every file that is not whole."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import threading
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule import modelfile
from chainrule.layers import ACTIVATIONS
from chainrule.modelfile import from_bytes, to_bytes


def make_net(dtype="float64", scaled=False, n=(3, 4, 2)):
    layers = [cr.Dense(units, "tanh") for units in n[1:-1]]
    net = cr.Network([*layers, cr.Dense(n[-1])], n_inputs=n[0], dtype=dtype, seed=5)
    for l in range(1, net.L + 1):
        net.b[l] = np.linspace(-1, 1, n[l])
    if scaled:
        rng = np.random.default_rng(0)
        net.scaling = cr.Scaling.fit(rng.normal(size=(9, n[0])), rng.normal(size=(9, n[-1])))
    return net


def tiny():
    net = cr.Network([cr.Dense(1, "relu")], n_inputs=2, dtype="float32")
    net.metadata = {"a": 1}
    return to_bytes(net)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def split(data):
    """Header as a dict, and the bytes of the tensors."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def join(header, payload):
    """A file from a header (dict, str or bytes) and bytes."""
    if isinstance(header, dict):
        header = json.dumps(header)
    if isinstance(header, str):
        header = header.encode()
    return len(header).to_bytes(8, "little") + header + payload


def edited(data, edit):
    """The file after `edit(header)`, with digests that fit again."""
    header, payload = split(data)
    payload = edit(header, payload) or payload
    metadata = header["__metadata__"]
    # Where the edit leaves nothing to digest, the old digests stay.
    with suppress(TypeError, KeyError, ValueError, AttributeError):
        tensors = {
            name: np.frombuffer(payload[slice(*entry["data_offsets"])], "u1")
            for name, entry in header.items()
            if re.fullmatch(r"[Wb]\d+|[xy]_(mean|scale)", name)
        }
        metadata["sha256"] = modelfile._tensor_digest(tensors)
        metadata["header_sha256"] = modelfile._metadata_digest(metadata)
    return join(header, payload)


# ------------------------------------------------------------------------------------ round trips


@pytest.mark.parametrize("scaled", [False, True])
def test_round_trip(dtype, scaled, tmp_path):
    net = make_net(dtype, scaled)
    net.metadata = {"columns": ["a", "\u00e9\0\n"], "n": {"x": 1.5, "y": None}}
    path = tmp_path / "model.safetensors"
    net.save(path)
    back = cr.load(path)
    assert back.theta.tobytes() == net.theta.tobytes()
    assert (repr(back), back.layers, back.n) == (repr(net), net.layers, net.n)
    assert back.scaling == net.scaling
    assert list(back.metadata.items()) == list(net.metadata.items())
    X = np.random.default_rng(1).normal(size=(7, 3))
    assert back(X).tobytes() == net(X).tobytes()
    assert back.theta.flags.writeable
    assert files(tmp_path) == ["model.safetensors"]


@given(
    n=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    names=st.lists(st.sampled_from(ACTIVATIONS), min_size=4, max_size=4),
    dtype=st.sampled_from(["float32", "float64"]),
    data=st.data(),
)
def test_round_trip_of_any_network(n, names, dtype, data):
    layers = [cr.Dense(units, name) for units, name in zip(n[1:], names, strict=False)]
    net = cr.Network(layers, n[0], dtype)
    width = 8 * net.theta.itemsize
    numbers = st.floats(width=width, allow_nan=False, allow_infinity=False)
    net.theta[:] = data.draw(
        st.lists(numbers, min_size=net.n_parameters, max_size=net.n_parameters)
    )
    back = from_bytes(to_bytes(net))
    assert back.theta.tobytes() == net.theta.tobytes()
    assert (back.layers, back.n, back.dtype) == (net.layers, net.n, net.dtype)


def test_equal_networks_give_equal_files(dtype):
    net = make_net(dtype, scaled=True)
    files = {to_bytes(net) for _ in range(20)} | {to_bytes(net.copy()) for _ in range(5)}
    assert len(files) == 1


def test_the_official_library_reads_it(dtype, tmp_path):
    net = make_net(dtype, scaled=True)
    path = tmp_path / "model.safetensors"
    net.save(path)
    tensors = safetensors.numpy.load_file(path)
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0
    names = {"W1", "b1", "W2", "b2", "x_mean", "x_scale", "y_mean", "y_scale"}
    assert set(tensors) == names
    for l in (1, 2):
        assert tensors[f"W{l}"].dtype == dtype
        assert tensors[f"W{l}"].shape == (net.n[l], net.n[l - 1])
        assert np.array_equal(tensors[f"W{l}"], net.W[l])
        assert np.array_equal(tensors[f"b{l}"], net.b[l])
    assert tensors["x_mean"].dtype == np.float64
    assert np.array_equal(tensors["y_scale"], net.scaling.y_scale)
    with safetensors.safe_open(path, "np") as file:
        metadata = file.metadata()
    assert (metadata["format"], metadata["format_version"]) == ("chainrule", "1")
    assert (metadata["dtype"], metadata["n_inputs"]) == (dtype, "3")
    assert json.loads(metadata["layers"]) == [
        {"units": 4, "activation": "tanh"},
        {"units": 2, "activation": "identity"},
    ]
    # And we read what it writes, in the order that it likes.
    safetensors.numpy.save_file(tensors, path, metadata)
    assert cr.load(path).theta.tobytes() == net.theta.tobytes()


@pytest.mark.parametrize("length", [640, 896, 1152, 1408])
def test_a_header_length_that_looks_like_a_pickle(length, dtype):
    """0x280, 0x380, 0x480 and 0x580: the first two bytes are those of pickle protocols 2 to 5."""
    net = make_net(dtype, n=(1, 1))
    for size in range(length):
        net.metadata = {"a": "x" * size}
        data = to_bytes(net)
        if int.from_bytes(data[:8], "little") == length:
            break
    assert data[0] == 0x80
    assert from_bytes(data).metadata == net.metadata


def test_pickle_carries_the_file_and_no_more(dtype):
    net = make_net(dtype, scaled=True)
    net.metadata = {"note": "n"}
    data = pickle.dumps(net)
    back = pickle.loads(data)
    assert back.theta.tobytes() == net.theta.tobytes()
    assert (back.scaling, back.metadata, repr(back)) == (net.scaling, net.metadata, repr(net))
    assert to_bytes(net) in data
    function, arguments = net.__reduce__()
    assert function is from_bytes
    assert [type(argument) for argument in arguments] == [bytes]
    broken = data.replace(to_bytes(net), to_bytes(net)[:-8] + b"\0" * 8)
    with pytest.raises(cr.FormatError):
        pickle.loads(broken)


def test_paths(tmp_path, monkeypatch):
    net = make_net()
    monkeypatch.chdir(tmp_path)
    net.save("plain")
    net.save(tmp_path / "path")
    net.save(str(tmp_path / ("\u00e9" * 120)))  # 240 bytes: near the limit of a name
    assert len(files(tmp_path)) == 3
    for name in files(tmp_path):
        assert cr.load(name).theta.tobytes() == net.theta.tobytes()
    for bad in (None, 3, b"bytes"):
        with pytest.raises(TypeError):
            net.save(bad)
        with pytest.raises(TypeError):
            cr.load(bad)


# --------------------------------------------------------------------------- what cannot be saved


def test_not_finite_is_not_saved(dtype, tmp_path):
    net = make_net(dtype)
    path = tmp_path / "m"
    net.save(path)
    kept = path.read_bytes()
    net.theta[7] = np.nan
    with pytest.raises(ValueError, match=r"net.theta must be finite to be saved, got nan at .* 7"):
        net.save(path)
    with pytest.raises(ValueError, match="must be finite to be saved"):
        pickle.dumps(net)
    assert path.read_bytes() == kept
    assert files(tmp_path) == ["m"]


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"a": {1, 2}}, TypeError),
        ({"a": np.float32(1)}, TypeError),
        ({("a",): 1}, TypeError),
        ({"a": float("nan")}, ValueError),
        ({"a": float("inf")}, ValueError),
        ({"a": "x" * 10_000_000}, ValueError),
    ],
)
def test_metadata_that_do_not_fit(metadata, kind, tmp_path):
    net = make_net()
    net.metadata = metadata
    with pytest.raises(kind, match=r"net\.metadata"):
        net.save(tmp_path / "m")
    assert files(tmp_path) == []


def test_metadata_that_contain_themselves(tmp_path):
    net = make_net()
    net.metadata["me"] = net.metadata
    with pytest.raises(ValueError, match=r"net\.metadata must fit JSON"):
        net.save(tmp_path / "m")


# -------------------------------------------------------------------------------- damaged files


def test_truncation_at_every_byte():
    data = to_bytes(make_net(scaled=True))
    for size in range(len(data)):
        with pytest.raises(cr.FormatError):
            from_bytes(data[:size])
    for extra in (b"\0", b"\0" * 8, data):
        with pytest.raises(cr.FormatError):
            from_bytes(data + extra)


def test_every_byte_changed():
    data = tiny()
    from_bytes(data)
    for place in range(len(data)):
        for new in {0, 255, *(data[place] ^ (1 << bit) for bit in range(8))} - {data[place]}:
            broken = data[:place] + bytes([new]) + data[place + 1 :]
            with pytest.raises(cr.FormatError):
                from_bytes(broken)


@given(data=st.binary(max_size=300))
def test_any_bytes(data):
    with pytest.raises(cr.FormatError):
        from_bytes(data)


@given(header=st.binary(max_size=80), payload=st.binary(max_size=20))
def test_any_header(header, payload):
    with pytest.raises(cr.FormatError):
        from_bytes(join(b"{" + header, payload))


def test_swapped_and_changed_weights_are_noticed():
    data = to_bytes(make_net())
    header, payload = split(data)
    swapped = payload[8:16] + payload[:8] + payload[16:]
    with pytest.raises(cr.FormatError, match="parameters were changed"):
        from_bytes(join(header, swapped))
    header["__metadata__"]["metadata"] = '{"b":1}'
    with pytest.raises(cr.FormatError, match="metadata were changed"):
        from_bytes(join(header, payload))


HEADERS = {
    "huge length": (b"\xff" * 8 + b"{}", "header is said to have 18446744073709551615 bytes"),
    "over 10 MB": ((10_000_001).to_bytes(8, "little") + b"{" * 10_000_009, "at most 10000000"),
    "longer than the file": ((100).to_bytes(8, "little") + b"{}", "at most 2 are possible"),
    "empty": (b"", "0 bytes are too few"),
    "8 bytes": (b"\0" * 8, "8 bytes are too few"),
    "zero length": (b"\0" * 9, "does not start with '{'"),
    "a list": (join("[]", b""), "does not start with '{'"),
    "leading space": (join(" {}", b""), "does not start with '{'"),
    "not UTF-8": (join(b'{"\xff":1}', b""), "not UTF-8"),
    "not JSON": (join("{]", b""), "not valid JSON"),
    "trailing": (join("{} x", b""), "not valid JSON"),
    "duplicate keys": (join('{"a":1,"a":2}', b""), "not valid JSON .*twice"),
    "deep": (join('{"a":' + "[" * 100_000, b""), "not valid JSON"),
    "1e999": (join('{"a":1e999}', b""), "not valid JSON .*finite"),
    "NaN": (join('{"a":NaN}', b""), "not valid JSON .*finite"),
    "5000 digits": (join('{"a":' + "1" * 5000 + "}", b""), "not valid JSON|not written by"),
    "no metadata": (join("{}", b""), "not written by chainrule"),
    "other metadata": (join('{"__metadata__":{"format":"pt"}}', b""), "not written by chainrule"),
    "metadata a list": (join('{"__metadata__":[]}', b""), "not written by chainrule"),
    "lone surrogate": (
        join('{"__metadata__":{"format":"chainrule","dtype":"\\ud800"}}', b""),
        "format_version must be",
    ),
}


@pytest.mark.parametrize("case", HEADERS)
def test_bad_headers(case):
    data, words = HEADERS[case]
    with pytest.raises(cr.FormatError, match=f"(?s){words}"):
        from_bytes(data)


def set_metadata(**values):
    def edit(header, payload):
        header["__metadata__"].update(values)

    return edit


def set_entry(name, **values):
    def edit(header, payload):
        header[name].update(values)

    return edit


def rename(old, new):
    def edit(header, payload):
        header[new] = header.pop(old)

    return edit


def drop(name):
    def edit(header, payload):
        begin, end = header.pop(name)["data_offsets"]
        for entry in header.values():
            offsets = entry.get("data_offsets", [0, 0])
            if offsets[0] >= end:
                entry["data_offsets"] = [k - (end - begin) for k in offsets]
        return payload[:begin] + payload[end:]

    return edit


def drop_metadata(name):
    def edit(header, payload):
        del header["__metadata__"][name]

    return edit


def append(name, value):
    def edit(header, payload):
        header[name] = {
            "dtype": "F64",
            "shape": list(value.shape),
            "data_offsets": [len(payload), len(payload) + value.nbytes],
        }
        return payload + value.tobytes()

    return edit


def layers_json(*rows):
    return json.dumps([{"units": units, "activation": name} for units, name in rows])


EDITS = {
    "newer": (set_metadata(format_version="2"), "written by format version 2"),
    "much newer": (set_metadata(format_version="17", more="x"), "written by format version 17"),
    "version 0": (set_metadata(format_version="0"), "metadata of format version 1 are"),
    "version 01": (set_metadata(format_version="01"), "metadata of format version 1 are"),
    "version x": (set_metadata(format_version="x"), "format_version must be a whole number"),
    "version digits": (set_metadata(format_version="\u0661"), "format_version must be a whole"),
    "no version": (drop_metadata("format_version"), "format_version must be a whole number"),
    "no dtype": (drop_metadata("dtype"), "metadata of format version 1 are"),
    "more metadata": (set_metadata(color="red"), "metadata of format version 1 are"),
    "number in metadata": (set_metadata(dtype=64), "metadata 'dtype' must be a string, got 64"),
    "null in metadata": (set_metadata(metadata="\0"), "metadata 'metadata' has a null character"),
    "dtype": (set_metadata(dtype="float16"), "dtype must be one of float32, float64"),
    "other dtype": (set_metadata(dtype="float32"), "tensor W1 must be F32 .*got F64"),
    "layers not JSON": (set_metadata(layers="["), "layers: not valid JSON"),
    "layers a number": (set_metadata(layers="3"), "layers must be a list"),
    "no layers": (set_metadata(layers="[]"), "layers must be a list"),
    "layers of numbers": (set_metadata(layers="[3]"), "a layer must have units and activation"),
    "layers with more": (
        set_metadata(layers='[{"units":2,"activation":"relu","x":1}]'),
        "a layer must have units and activation",
    ),
    "units 0": (set_metadata(layers=layers_json((0, "relu"))), "layers are not valid: units"),
    "units true": (set_metadata(layers=layers_json((True, "relu"))), "layers are not valid: units"),
    "units 1.0": (set_metadata(layers=layers_json((1.0, "relu"))), "layers are not valid: units"),
    "units 2**64": (set_metadata(layers=layers_json((2**64, "relu"))), "layers are not valid"),
    "activation": (set_metadata(layers=layers_json((4, "swish"))), "not valid: activation"),
    "activation 3": (set_metadata(layers=layers_json((4, 3))), "not valid: activation"),
    "n_inputs": (set_metadata(n_inputs="-1"), "layers are not valid: n_inputs"),
    "n_inputs text": (set_metadata(n_inputs="x"), "n_inputs: not valid JSON"),
    "fewer layers": (
        set_metadata(layers=layers_json((4, "tanh"))),
        r"not expected: \['W2', 'b2'\]",
    ),
    "huge layers": (
        set_metadata(layers=layers_json((2**31 - 1, "tanh"), (2**31 - 1, "tanh"))),
        r"tensor W1 must be F64 with shape \[2147483647, 3\]",
    ),
    "user's metadata a list": (set_metadata(metadata="[]"), "metadata must be an object"),
    "user's metadata broken": (set_metadata(metadata='{"a"}'), "user's metadata: not valid JSON"),
    "missing": (drop("b1"), r"tensors missing: \['b1'\]"),
    "renamed": (rename("b1", "../b1"), r"missing: \['b1'\]; not expected: \['../b1'\]"),
    "attribute": (rename("b1", "__class__"), "not expected: .*__class__"),
    "null in name": (rename("b1", "b1\0"), r"not expected: \['b1\\x00'\]"),
    "long name": (rename("b1", "b" * 1_000_000), "not expected"),
    "extra": (append("W3", np.ones((1, 1))), r"not expected: \['W3'\]"),
    "empty extra": (append("W3", np.ones((0, 1))), r"not expected: \['W3'\]"),
    "half a scaling": (append("x_mean", np.ones(3)), "tensors missing: .*x_scale"),
    "transposed": (set_entry("W1", shape=[3, 4]), r"tensor W1 must be F64 with shape \[4, 3\]"),
    "rank 3": (set_entry("W1", shape=[4, 3, 1]), "tensor W1 must be F64 with shape"),
    "rank 0": (set_entry("W1", shape=[]), "tensor 'W1' .* does not fit its data_offsets"),
    "negative": (set_entry("W1", shape=[-4, -3]), "lists of whole numbers are needed"),
    "float shape": (set_entry("W1", shape=[4.0, 3]), "lists of whole numbers are needed"),
    "bool shape": (set_entry("b1", shape=[True]), "lists of whole numbers are needed"),
    "text shape": (set_entry("W1", shape="43"), "lists of whole numbers are needed"),
    "overflow": (set_entry("W1", shape=[2, 2**64 - 2]), "does not fit its data_offsets"),
    "overflow 2": (set_entry("W1", shape=[2, 2**63 - 1]), "does not fit its data_offsets"),
    "dtype of a tensor": (set_entry("W1", dtype="F16"), "dtype 'F16'; F32 or F64 is allowed"),
    "dtype a list": (set_entry("W1", dtype=["F64"]), r"dtype \['F64'\]; F32 or F64 is allowed"),
    "no shape": (lambda h, p: h["W1"].pop("shape") and None, "must have dtype, shape and data_"),
    "an extra key": (set_entry("W1", x=1), "must have dtype, shape and data_offsets"),
    "reversed": (set_entry("W1", data_offsets=[96, 0]), "does not fit its data_offsets"),
    "three offsets": (set_entry("W1", data_offsets=[0, 96, 96]), "whole numbers are needed"),
    "overlap": (set_entry("b1", data_offsets=[0, 32]), "do not cover"),
    "hole": (lambda h, p: p + b"\0" * 8, "do not cover"),
    "a number": (lambda h, p: h.update(W1=3), "must have dtype, shape and data_offsets"),
}


@pytest.mark.parametrize("case", EDITS)
def test_bad_contents(case):
    edit, words = EDITS[case]
    data = to_bytes(make_net())
    assert from_bytes(edited(data, lambda *_: None)).n == (3, 4, 2)

    with pytest.raises(cr.FormatError, match=f"(?s){words}"):
        from_bytes(edited(data, edit))


@pytest.mark.parametrize("name", ["sha256", "header_sha256"])
def test_a_file_without_digests(name):
    header, payload = split(to_bytes(make_net()))
    del header["__metadata__"][name]
    with pytest.raises(cr.FormatError, match="metadata of format version 1 are"):
        from_bytes(join(header, payload))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["W2", "b1", "x_mean", "y_scale"])
def test_not_finite_is_not_loaded(bad, name):
    def edit(header, payload):
        end = header[name]["data_offsets"][1]
        return payload[: end - 8] + np.float64(bad).tobytes() + payload[end:]

    data = edited(to_bytes(make_net(scaled=True)), edit)
    with pytest.raises(cr.FormatError, match=f"tensor {name} has an element that is not finite"):
        from_bytes(data)


def test_a_scale_of_zero_is_not_loaded():
    def edit(header, payload):
        begin, end = header["x_scale"]["data_offsets"]
        return payload[:begin] + bytes(end - begin) + payload[end:]

    with pytest.raises(cr.FormatError, match="x_scale must be above 0"):
        from_bytes(edited(to_bytes(make_net(scaled=True)), edit))


# ----------------------------------------------------------------------------------- other files


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb()))
    return buffer.getvalue()


def saved(function, *arguments, **named):
    buffer = io.BytesIO()
    function(buffer, *arguments, **named)
    return buffer.getvalue()


OTHERS = {
    **{f"pickle {k}": (pickle.dumps(Bomb(), k), "a pickle; it is never opened") for k in (2, 3, 4)},
    "pickle 0": (pickle.dumps(Bomb(), 0), "another format"),
    "torch": (zipped(), "a zip archive such as .npz or a PyTorch .pt"),
    "npz": (saved(np.savez, a=np.ones(3)), "a zip archive such as .npz"),
    "npy": (saved(np.save, np.array([Bomb()]), allow_pickle=True), "a NumPy .npy"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "a gzip file"),
    "joblib": (b"\x78\x9c" + bytes(100), "joblib"),
    "text": (b"a,b\n1,2\n" * 20, "another format"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_other_formats_are_refused_and_not_opened(case, tmp_path):
    data, words = OTHERS[case]
    path = tmp_path / "model"
    path.write_bytes(data)
    with pytest.raises(cr.FormatError, match=words) as caught:
        cr.load(path)
    assert str(path) in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        cr.load(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match="is a directory"):
        cr.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        make_net().save(tmp_path / "no" / "such" / "folder")
    with pytest.raises(IsADirectoryError):
        make_net().save(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_pipes_and_devices(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(cr.FormatError, match="not a regular file"):
            cr.load(path)


def test_links_are_followed(tmp_path):
    net = make_net()
    (tmp_path / "folder").mkdir()
    link, target = tmp_path / "latest", tmp_path / "folder" / "model"
    link.symlink_to(target)
    net.save(link)
    assert link.is_symlink()
    assert target.is_file()
    assert cr.load(link).theta.tobytes() == net.theta.tobytes()
    assert files(target.parent) == ["model"]


# ----------------------------------------------------------------------------------- whole files


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_permissions(tmp_path):
    net, path = make_net(), tmp_path / "m"
    before = os.umask(0o027)
    try:
        net.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        net.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(before)


@pytest.mark.parametrize("name", ["fsync", "replace", "write", "folder"])
def test_a_failing_disk_leaves_the_old_file(name, tmp_path, monkeypatch):
    net, path = make_net(), tmp_path / "m"
    net.save(path)
    kept = path.read_bytes()
    net.theta[:] = 0

    def fail(*_):
        raise OSError(28, "No space left on device")

    if name == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif name == "replace":
        monkeypatch.setattr(type(path), "replace", fail)
    elif name == "write":
        monkeypatch.setattr(os, "fdopen", fail)
    else:
        monkeypatch.setattr(modelfile, "_sync_folder", fail)
    with pytest.raises(OSError, match=re.escape(str(path))) as caught:
        net.save(path)
    assert caught.value.errno == 28
    assert files(tmp_path) == ["m"]
    # Only after the rename the new file is there, whole.
    assert path.read_bytes() == (to_bytes(net) if name == "folder" else kept)


@pytest.mark.skipif(os.name == "nt", reason="needs os._exit between two calls")
@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
def test_a_process_that_dies_while_saving(call, tmp_path):
    net, path = make_net(), tmp_path / "m"
    net.save(path)
    kept = path.read_bytes()
    code = f"""
import os, pathlib, sys
import chainrule as cr
net = cr.load(sys.argv[1])
net.theta[:] = 0
die = lambda *_: os._exit(9)
if {call!r} == "replace":
    pathlib.Path.replace = die
elif {call!r} == "open":
    os.fdopen = die
else:
    os.fsync = die
net.save(sys.argv[1])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
    assert done.returncode == 9
    assert path.read_bytes() == kept
    assert cr.load(path).theta.any()


def test_many_writers_and_readers_of_one_file(tmp_path):
    path = tmp_path / "m"
    nets = [make_net(), make_net()]
    nets[1].theta[:] = 0
    allowed = {net.theta.tobytes() for net in nets}
    nets[0].save(path)
    wrong = []

    def write(net):
        for _ in range(30):
            net.save(path)

    def read():
        for _ in range(60):
            try:
                if cr.load(path).theta.tobytes() not in allowed:
                    wrong.append("other weights")
            except Exception as error:  # noqa: PERF203
                wrong.append(error)

    threads = [threading.Thread(target=write, args=(net,)) for net in nets * 2]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert files(tmp_path) == ["m"]
