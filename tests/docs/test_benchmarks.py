"""The benchmarks' page says what was compared with what: every peer, the goals, versions and a date."""

import json

from benchmarks._results import RESULTS, as_markdown, make_page

PEERS = {"dispatch": 6, "loops": 4}


def test_every_goal_of_ours_stands_beside_its_figure():
    results = json.loads(RESULTS.read_text("utf-8"))
    assert set(results) == {"dispatch", "growth", "hosts", "import_time", "inside", "inside_on_gpu", "loops"}
    for result in results.values():
        assert any(row[key] for row in result["rows"] for key in row if key.startswith("goal"))
        assert result["date"]
        assert result["versions"]["onlooker"]


def test_every_peer_has_a_figure_or_is_said_to_be_missing():
    results = json.loads(RESULTS.read_text("utf-8"))
    for name, count in PEERS.items():
        rows = [row for row in results[name]["rows"] if not row[""].startswith(("Onlooker", "the ", "by hand"))]
        assert len(rows) == count
        for row in rows:
            figure = next(value for key, value in row.items() if key.startswith(("8 listen", "× the bare loop")))
            assert figure.startswith("not installed") or float(figure.split()[0]) > 0


def test_a_table_has_a_row_for_each_result():
    result = {
        "title": "Title",
        "note": "Note.",
        "rows": [{"": "a", "figure": "1"}, {"": "b", "figure": "2"}],
        "date": "2000-01-01",
        "versions": {"onlooker": "0"},
        "machine": "none",
    }
    assert as_markdown(result).splitlines()[4:8] == ["|  | figure |", "| --- | --- |", "| a | 1 |", "| b | 2 |"]
    assert make_page().count("\n## ") == 7
