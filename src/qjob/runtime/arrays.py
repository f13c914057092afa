"""NumPy's arrays and scalars.

Small arrays of numbers and text stand in the document as nested lists. The others become ``.npy`` files
(https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html) beside it, or, when they are small as well,
the same bytes in base64. A complex number stands there as ``[real, imaginary]``.
"""

from __future__ import annotations

import base64
import io
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

from qjob.runtime.coding import (
    Coded,
    DecodeFunction,
    Decoder,
    EncodeFunction,
    Encoder,
    Unavailable,
    Unreadable,
    Unsavable,
    Where,
)
from qjob.runtime.mapped import map_private, map_to_read
from qjob.runtime.optional import optional
from qjob.runtime.standard import coded_bytes

INLINE_ITEMS = 1000
"""The most items that an array of numbers or text may have to stand in the document itself."""
_INLINE_BYTES = 8000
_READ_WHOLE_BYTES = 1 << 18
_HEADER_BYTES = 10_000
"""NumPy's own limit on the header of a file that it reads."""
_HEADERS = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}
"""By the version of a file's format, NumPy's function that reads its header; it has none for field names in Unicode."""


def encode_array(encoder: Encoder, value: Any, where: Where) -> Coded:
    """Encode an array of any class as one of the base class."""
    _refuse_what_a_file_cannot_hold(value)
    array = optional("numpy").asarray(value)
    if _is_simple(array.dtype) and array.size <= INLINE_ITEMS:
        return _listed(array), _inline_form(array)
    if array.nbytes <= _INLINE_BYTES:
        return array.astype(str).tolist() if array.dtype.kind in "mM" else str(array.tolist()), {
            "type": "array",
            "npy": _npy_text(array),
        }
    name = encoder.add_array(array)
    return {"file": name, "dtype": str(array.dtype), "shape": list(array.shape)}, {"type": "array", "file": name}


def encode_scalar(_encoder: Encoder, value: Any, _where: Where) -> Coded:
    """Encode a scalar; the plain number is its stand-in where there is one."""
    dtype = value.dtype
    if _is_simple(dtype):
        number = value.item()
        plain = [number.real, number.imag] if dtype.kind == "c" else number
        return plain, {"type": "numpy", "dtype": "str" if dtype.kind == "U" else dtype.name}
    _refuse_what_a_file_cannot_hold(value)
    plain = coded_bytes(bytes(value))[0] if isinstance(value, bytes) else str(value)
    return plain, {"type": "numpy", "npy": _npy_text(optional("numpy").asarray(value))}


def write_array(path: Path, array: Any) -> None:
    """Write an array to a new file, from its own memory; raises OSError."""
    with path.open("xb") as file:
        optional("numpy").save(file, array, allow_pickle=False)


def read_array(path: Path) -> Any:
    """Read an array file: a big one is mapped into memory, and changes to it stay there; no file stays open.

    Raises OSError, ValueError when the file is damaged, Unavailable without NumPy.
    """
    file_format = optional("numpy").lib.format  # opens no zip files and no pickles, as numpy.load() does
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        read_header = _HEADERS.get(file_format.read_magic(file))
        if size <= _READ_WHOLE_BYTES or read_header is None:
            file.seek(0)
            return file_format.read_array(file, allow_pickle=False)
        shape, is_fortran, dtype = getattr(file_format, read_header)(file)
        return _mapped(file, size, shape, dtype, "F" if is_fortran else "C")


def _mapped(file: BinaryIO, size: int, shape: tuple[int, ...], dtype: Any, order: str) -> Any:
    """Return the array whose bytes are the rest of a file; changes to it stay in memory."""
    if dtype.hasobject:
        raise ValueError("its items are Python objects, which only pickle could read")
    count = math.prod(shape)
    if size < file.tell() + count * dtype.itemsize or min(shape, default=0) < 0:
        raise ValueError(f"it has not the bytes of an array of the shape {shape}")
    try:
        memory = map_private(file.fileno(), size)
    except OSError:  # the system does not lend as much memory as changes to all of it could take
        memory = map_to_read(file.fileno(), size)
    items = optional("numpy").frombuffer(memory, dtype, count, file.tell())
    return items.reshape(shape, order=order)


def _refuse_what_a_file_cannot_hold(value: Any) -> None:
    """Raise Unsavable for an array or scalar whose type NumPy's file format would not give back."""
    if hasattr(value, "mask") and hasattr(value, "fill_value"):
        raise Unsavable("its mask would be lost", "save .data and .mask, each under a key of its own")
    dtype = value.dtype
    if dtype.hasobject and dtype.kind != "T":
        remedy = "use .tolist(), or give it a dtype of numbers or text with .astype(...)"
        raise Unsavable("its items are Python objects, which only pickle could save", remedy)
    if not _is_kept(dtype):
        raise Unsavable(f"NumPy's file format does not keep its dtype {dtype!r:.100}", "use .astype(...) to change it")


def _is_kept(dtype: Any) -> bool:
    if dtype.kind == "T":  # texts of any length
        return False
    file_format = optional("numpy").lib.format
    descr = file_format.dtype_to_descr(dtype)
    return len(str(descr)) < _HEADER_BYTES - 500 and bool(file_format.descr_to_dtype(descr) == dtype)


def _is_simple(dtype: Any) -> bool:
    """Tell whether JSON has the items of such an array, to the last bit."""
    return dtype.kind in "biuU" or (dtype.kind, dtype.itemsize) in {
        ("f", 2),
        ("f", 4),
        ("f", 8),
        ("c", 8),
        ("c", 16),
    }


def _listed(array: Any) -> Any:
    if array.dtype.kind != "c":
        return array.tolist()
    parts = optional("numpy").stack([array.real, array.imag], axis=-1)
    return parts.tolist()


def _inline_form(array: Any) -> dict[str, Any]:
    form = {"type": "array", "dtype": array.dtype.str, "shape": list(array.shape)}
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return form | {"order": "F"} if is_fortran else form


def _npy_text(array: Any) -> str:
    file = io.BytesIO()
    optional("numpy").save(file, array, allow_pickle=False)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _decode_array(decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    if "file" in form:
        return decoder.read_array(form["file"])
    if "npy" in form:
        return _of_npy_text(form["npy"])
    numpy = optional("numpy")
    dtype, shape = numpy.dtype(form["dtype"]), tuple(form["shape"])
    if not _is_simple(dtype):
        raise Unreadable(f"its dtype is {dtype}")
    order = form.get("order", "C")
    if dtype.kind != "c":
        return numpy.array(plain, dtype=dtype).reshape(shape).copy(order=order)
    parts = numpy.array(plain, dtype=dtype.type(0).real.dtype).reshape((math.prod(shape), 2))
    return numpy.ascontiguousarray(parts).view(dtype.newbyteorder("=")).reshape(shape).astype(dtype, order=order)


def _decode_scalar(_decoder: Decoder, plain: Any, form: dict[str, Any]) -> Any:
    """Return a scalar; without NumPy, its stand-in as a Python number or text."""
    try:
        if "npy" in form:
            return _of_npy_text(form["npy"])[()]
        dtype = optional("numpy").dtype(form["dtype"])
    except Unavailable:
        return complex(*plain) if isinstance(plain, list) else plain
    return dtype.type(complex(*plain) if dtype.kind == "c" else plain)


def _of_npy_text(text: str) -> Any:
    return optional("numpy").load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False)


ENCODERS: dict[str, EncodeFunction] = {
    "numpy.ndarray": encode_array,
    "numpy.generic": encode_scalar,
    "numpy.float64": encode_scalar,  # these are Python's own types as well, and those come first
    "numpy.complex128": encode_scalar,
    "numpy.str_": encode_scalar,
    "numpy.bytes_": encode_scalar,
}
DECODERS: dict[str, DecodeFunction] = {"array": _decode_array, "numpy": _decode_scalar}
