"""Results and checkpoints: what is in the files, and what is read from them."""

from __future__ import annotations

from conformance.rows import Table, differs, raises, same

_HEAD = '{"braketSchemaHeader": {"name": "braket.jobs_data.persisted_job_data", "version": "1"}, "dataDictionary": '
_PLAIN = ', "dataFormat": "plaintext"}'
_PICKLED = ', "dataFormat": "pickled_v4"}'
_PICKLED_FORMAT = "data_format=PersistedJobDataFormat.PICKLED_V4"


def plain(values: str) -> str:
    """Return the text of a file with these values, in JSON."""
    return _HEAD + values + _PLAIN


RESULTS = Table(
    title="Results",
    about="`results()` is the text of `results.json`.",
    rows=(
        same("save_job_result({'a': 1, 'b': [1.5, None, True], 'c': {'d': 'ü'}}); results()",
             plain('{"a": 1, "b": [1.5, null, true], "c": {"d": "\\u00fc"}}')),
        same("save_job_result(0.5); results()", plain('{"result": 0.5}')),
        same("save_job_result(None); results()", plain('{"result": null}')),
        same("save_job_result([1, 2]); results()", plain('{"result": [1, 2]}')),
        same("save_job_result({}); results()", plain("{}")),
        same("save_job_result({1: 'a'}); results()", plain('{"1": "a"}')),
        same("save_job_result({'x': inf, 'y': nan}); results()", plain('{"x": Infinity, "y": NaN}')),
        same("save_job_result({'a': 1}); save_job_result({'b': 2}); results()", plain('{"a": 1, "b": 2}')),
        same("save_job_result({'a': 1, 'b': 1}); save_job_result({'a': 2}); results()", plain('{"a": 2, "b": 1}')),
        same(f"save_job_result({{'a': True}}, {_PICKLED_FORMAT}); results()",
             _HEAD + '{"a": "gASILg==\\n"}' + _PICKLED),
        same(f"save_job_result({{'a': True}}, {_PICKLED_FORMAT}); save_job_result({{'b': None}}); results()",
             _HEAD + '{"a": "gASILg==\\n", "b": "gAROLg==\\n"}' + _PICKLED),
        same(f"save_job_result({{'a': True}}); save_job_result({{'b': None}}, {_PICKLED_FORMAT}); results()",
             _HEAD + '{"a": "gASILg==\\n", "b": "gAROLg==\\n"}' + _PICKLED),
        same(f"save_job_result(1, {_PICKLED_FORMAT}); save_job_result(2, PersistedJobDataFormat.PLAINTEXT)",
             raises("TypeError")),
        same("load_job_result()", {}),
        same("save_job_result({'a': [1, {'b': None}]}); load_job_result()", {"a": [1, {"b": None}]}),
        same(f"save_job_result({{'a': (1, {{2}})}}, {_PICKLED_FORMAT}); load_job_result(allow_pickle=True)",
             {"a": (1, {2})}),
        same(f"save_job_result(1, {_PICKLED_FORMAT}); load_job_result()", raises("RuntimeError")),
        same("save_job_result({'a': 1}); load_job_result('results/results.json')", {"a": 1}),
        differs(
            "save_job_result({None: 2})",
            ours=raises("TypeError"),
            published=raises("ValueError"),
            why="a key that is no text is of a wrong type, as any value that cannot be saved; "
            "with Braket it is pydantic's",
        ),
        differs(
            "save_job_result({'a': 1})\n"
            "try: save_job_result({'b': object()})\nexcept TypeError: pass\nload_job_result()",
            ours={"a": 1},
            published=raises("Exception"),
            why="a save that fails leaves the earlier results as they were; Braket has emptied the file by then",
        ),
        differs(
            "save_job_result({'a': (1, 2), 'b': {3}}); load_job_result()",
            ours={"a": (1, 2), "b": {3}},
            published={"a": [1, 2], "b": [3]},
            why="values come back with their types: one more key in the file, which Braket's readers pass over, "
            "tells what they were",
        ),
        differs(
            "save_job_result({'z': 1 + 2j}); load_job_result()",
            ours={"z": 1 + 2j},
            published=raises("TypeError"),
            why="complex numbers, arrays and other values of science are saved without pickle",
        ),
        differs(
            "Path('results/results.json').write_text('{'); load_job_result()",
            ours=raises("ResultError"),
            published=raises("ValidationError"),
            why="a damaged file is a ResultError, which is a RuntimeError; with Braket it is pydantic's",
        ),
    ),
)  # fmt: skip

CHECKPOINTS = Table(
    title="Checkpoints",
    about="`checkpoints()` are the files in the checkpoint directory.",
    rows=(
        same("save_job_checkpoint({'a': 1}); checkpoints()", {"vqe.json": plain('{"a": 1}')}),
        same("save_job_checkpoint({'a': 1}, 'best'); checkpoints()", {"vqe_best.json": plain('{"a": 1}')}),
        same("save_job_checkpoint({'a': 1}); save_job_checkpoint({'b': 2}); checkpoints()['vqe.json']",
             plain('{"b": 2}')),
        same("save_job_checkpoint({'a': 1}, checkpoint_file_suffix='3'); load_job_checkpoint('vqe', '3')", {"a": 1}),
        same("save_job_checkpoint({'a': 1}); load_job_checkpoint()", {"a": 1}),
        same(f"save_job_checkpoint({{'a': {{1}}}}, {_PICKLED_FORMAT}); load_job_checkpoint(allow_pickle=True)",
             {"a": {1}}),
        same(f"save_job_checkpoint({{'a': {{1}}}}, {_PICKLED_FORMAT}); load_job_checkpoint()", raises("RuntimeError")),
        same("save_job_checkpoint({})", raises("ValueError")),
        same("save_job_checkpoint(None)", raises("ValueError")),
        same("load_job_checkpoint()", raises("FileNotFoundError")),
        same("load_job_checkpoint('other')", raises("FileNotFoundError")),
        differs(
            "save_job_checkpoint({'a': 1}); save_job_checkpoint({'b': 2}); sorted(checkpoints())",
            ours=["vqe.json", "vqe.json.1"],
            published=["vqe.json"],
            why="the checkpoint before is kept beside the new one, should that turn out to be useless",
        ),
        differs(
            "save_job_checkpoint({'a': {1}}, data_format='pickle'); load_job_checkpoint(allow_pickle=True)",
            ours={"a": {1}},
            published={"a": [1]},
            why="a format that is given as a word is that format; Braket writes plain text whatever the word",
        ),
        differs(
            "save_job_checkpoint({'a': 1})\ntry: save_job_checkpoint({'a': object()})\nexcept TypeError: pass\n"
            "load_job_checkpoint()",
            ours={"a": 1},
            published=raises("Exception"),
            why="a checkpoint that cannot be saved leaves the one before; Braket has emptied the file by then",
        ),
    ),
)  # fmt: skip
