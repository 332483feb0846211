import json

from graphcolumns.checkpoint.lines import cut
from graphcolumns.training.log import Log


def test_entries_after_the_checkpoint_and_torn_lines_are_cut(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"ste')
    cut(path, 2)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    path.write_text('{"step": 1}\n{"step": 2')
    cut(path, 5)
    assert path.read_text() == '{"step": 1}\n'


def test_a_log_continues(tmp_path):
    for start in (0, 2):
        with Log(tmp_path, start) as log:
            for step in range(start, start + 3):
                log.write({"step": step + 1, "loss": 0.1})
            log.sync()
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5]


def test_a_missing_file_is_nothing_to_cut(tmp_path):
    cut(tmp_path / "metrics.jsonl", 3)
    assert not (tmp_path / "metrics.jsonl").exists()
