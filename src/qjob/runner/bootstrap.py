"""What the interpreter of an instance runs first: it becomes the user's script.

Called as ``python -P bootstrap.py REPORT_FD SOURCE_DIR SOURCE_NAME ENTRY_POINT``. It is read by whatever
interpreter the job asked for, so it uses nothing but the standard library, and imports next to nothing:
each import here is time before the user's first line.

An uncaught exception is printed as Python prints it, without the frames of this file, and also reported to
REPORT_FD, from which the runner makes the job's failure reason: see `report`. What tells of a failure imports
nothing that it could not do without: memory or descriptors may have run out, or the script may have become a
user who cannot read Python's files.
"""

import os
import sys

_MAX_TRACEBACK_CHARS = 16_000
_MAX_REASON_CHARS = 2000
_RESERVE_BYTES = 4 << 20
"""For telling of a failure where memory has run out; until then the kernel gives it no page."""


def main(arguments: list[str]) -> None:
    """Run the entry point as published: ``module`` as ``__main__``, or call ``module:function``."""
    report_fd, source, source_name, entry_point = int(arguments[0]), *arguments[1:]
    pid = os.getpid()
    reserve = bytes(_RESERVE_BYTES)  # by calloc: a bytearray of zeros would be written to
    os.set_inheritable(report_fd, False)
    os.environ["PYTHONUNBUFFERED"] = "1"  # for Python processes that the script starts, as in the container
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # lines show at once, whole
    _extend_path(source, source_name)
    sys.meta_path.append(_OurOwn)
    sys.meta_path.insert(0, _BraketsJobs)
    try:
        _run(source, source_name, entry_point)
    except SystemExit as end:
        if os.getpid() == pid and end.code is not None and not isinstance(end.code, int):
            report(report_fd, f"SystemExit: {_text(end)}", "")
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is the user's to be told
        del reserve
        error.__traceback__ = _without_our_frames(error.__traceback__)  # type: ignore[no-untyped-call]
        if os.getpid() == pid:  # and not a child that the script has forked
            report(report_fd, _reason(error, source), _formatted(error))
        _print(error)
        sys.exit(130 if isinstance(error, KeyboardInterrupt) else 1)


def report(report_fd: int, reason: str, trace: str) -> None:
    """Write a report: NUL, the reason, NUL, the traceback; in UTF-8, what it cannot hold as ``\\ud800``."""
    if len(trace) > _MAX_TRACEBACK_CHARS:
        half = _MAX_TRACEBACK_CHARS // 2
        trace = f"{trace[:half]}\n[... {len(trace) - 2 * half} characters ...]\n{trace[-half:]}"
    reason = reason[:_MAX_REASON_CHARS].replace("\0", "\\0")
    data = f"\0{reason}\0{trace}".encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(report_fd, data) :]
    except OSError:  # the script has closed it
        return


class _OurOwn:
    """Finds qjob beside this file, for an interpreter that has none, and nothing else of what is installed there."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != "qjob":
            return None
        from importlib.util import spec_from_file_location

        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        return spec_from_file_location(name, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder])


class _BraketsJobs:
    """Has ``braket.jobs`` save and load as `qjob.runtime` does: its own functions empty a file before they write it.

    A job that is cancelled in that moment would lose its last checkpoint, and the one before with it. The names,
    the parameters and the files are the same.
    """

    MODULE = "braket.jobs.data_persistence"
    FUNCTIONS = ("load_job_checkpoint", "load_job_result", "save_job_checkpoint", "save_job_result")

    @classmethod
    def find_spec(cls, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != cls.MODULE:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: cls._replace(module, execute)  # type: ignore[method-assign,no-untyped-call]
        return spec

    @classmethod
    def _replace(cls, module, execute):  # type: ignore[no-untyped-def]
        from qjob import runtime

        execute(module)
        for name in cls.FUNCTIONS:
            setattr(module, name, getattr(runtime, name))


def _extend_path(source: str, source_name: str) -> None:
    """Make the source importable by its own name, and a folder's modules by theirs.

    At the end of the path, as published, so that a job's ``types.py`` hides nothing. But a folder of code
    comes before an installed package of its name: what runs is the code as it was at submit. So does what
    was in an archive that has several entries and whose name is no file here.
    """
    folder = os.path.join(source, source_name)
    if os.path.isfile(folder):
        sys.path.append(source)
        return
    names = [source_name] if os.path.isdir(folder) else [name.removesuffix(".py") for name in os.listdir(source)]
    place = 0 if sys.stdlib_module_names.isdisjoint(names) else len(sys.path)
    sys.path.insert(place, source)
    if os.path.isdir(folder):
        sys.path.append(folder)


def _run(source: str, source_name: str, entry_point: str) -> None:
    module, _, function = entry_point.partition(":")
    if function:
        from qjob.runner.binding import call_with_hyperparameters

        call_with_hyperparameters(module, function)
        return
    _run_as_main(_script_path(source, source_name, module), module)


def _script_path(source: str, source_name: str, module: str) -> str:
    """Return the file of a module, by Python's own order: a package, a module, a folder without __init__."""
    if source_name == f"{module}.py":
        return os.path.join(source, source_name)
    path = os.path.join(source, *module.split("."))
    is_module = os.path.isfile(f"{path}.py") and not os.path.isfile(os.path.join(path, "__init__.py"))
    return f"{path}.py" if is_module else os.path.join(path, "__main__.py")


def _run_as_main(path: str, module: str) -> None:
    """Run a file as ``__main__``, in a module object of its own, as ``python path`` would."""
    namespace = type(sys)("__main__")
    namespace.__file__ = path
    namespace.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    alone = os.path.basename(path) == f"{module}.py"  # also a file with dots in its name
    namespace.__package__ = "" if alone else _import_parents(path, module)
    if namespace.__package__:
        from importlib.util import find_spec

        tail = ".__main__" if path.endswith("__main__.py") and not module.endswith("__main__") else ""
        namespace.__spec__ = find_spec(module + tail)  # so that spawned processes find the module again
    sys.argv[:] = [path]
    sys.modules["__main__"] = namespace
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, namespace.__dict__)


def _import_parents(path: str, module: str) -> str:
    """Import the package that the module is in, so that relative imports work; return its name."""
    package = module if path.endswith("__main__.py") else module.rpartition(".")[0]
    if package:
        __import__(package)
    return package


def _without_our_frames(trace):  # type: ignore[no-untyped-def]
    """Return the traceback from the user's first frame on; None when there is none of theirs."""
    ours = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
    of_import = os.path.join(os.path.dirname(os.__file__), "importlib")
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((ours, of_import, "<frozen importlib")):
        trace = trace.tb_next
    return trace


def _reason(error: BaseException, source: str) -> str:
    text = _text(error).strip()
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    if isinstance(error, ModuleNotFoundError) and os.access(source, os.R_OK):
        return f"{reason} (the job has {os.listdir(source)} and what is installed in {sys.prefix})"
    return reason


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # noqa: BLE001 - the user's __str__, which may do anything
        return ""


def _formatted(error: BaseException) -> str:
    try:
        import traceback

        return "".join(traceback.format_exception(error))
    except BaseException:  # noqa: BLE001 - the error may be just what keeps the import from working
        return _printed_by_python(error)


def _printed_by_python(error: BaseException) -> str:
    """Return what Python itself prints of an exception, for which it needs no module."""
    import io  # there since the start

    stderr, sys.stderr = sys.stderr, io.StringIO()
    try:
        sys.__excepthook__(type(error), error, error.__traceback__)
        return sys.stderr.getvalue()
    finally:
        sys.stderr = stderr


def _print(error: BaseException) -> None:
    """Print the exception, by the user's own hook if there is one, after all that was printed before."""
    _flush()
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except BaseException as failure:  # noqa: BLE001 - of the user's hook; what it was to print is its context
        failure.__traceback__ = failure.__traceback__ and failure.__traceback__.tb_next
        sys.__excepthook__(type(failure), failure, failure.__traceback__)


def _flush() -> None:
    try:
        sys.stdout.flush()
    except (AttributeError, OSError, ValueError):
        return  # the script has closed or replaced it


if __name__ == "__main__":
    main(sys.argv[1:])
