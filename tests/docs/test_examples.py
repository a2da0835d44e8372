"""Whatever code the pages show runs, and prints what they say it prints."""

import sys
import warnings
from pathlib import Path

import pytest
from tests.docs.blocks import Block, read_blocks, run_blocks
from tests.docs.pages import PAGES, name


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_examples_run(page, tmp_path, monkeypatch):
    blocks = read_blocks(page.read_text("utf-8"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pages show some on purpose
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="keras")  # Keras' own
            run_blocks(page, blocks)
    finally:
        for module in set(sys.modules) - before:
            if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
                del sys.modules[module]


def test_something_is_run():
    blocks = [block for page in PAGES for block in read_blocks(page.read_text("utf-8"))]
    run, not_run = (
        [block for block in blocks if block.is_run],
        [block for block in blocks if block.language == "python"],
    )
    assert len(run) > 0.8 * len(not_run) > 20


PAGE = """
# A page

```python
x = 1
print(x)
```

```text
1
```

Prose.

```text
no output of any block
```

<!-- not run: it is only a fragment -->
```python
y = ...
```

<!-- raises -->
```python
raise ValueError("no")
```

```text
ValueError: no
```
"""


def test_blocks_are_found():
    assert read_blocks(PAGE) == [
        Block(5, "python", "x = 1\nprint(x)\n", "", "1\n"),
        Block(16, "text", "no output of any block\n"),
        Block(21, "python", "y = ...\n", "not run: it is only a fragment"),
        Block(26, "python", 'raise ValueError("no")\n', "raises", "ValueError: no\n"),
    ]
    run_blocks(Path("page.md"), read_blocks(PAGE))


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (PAGE.replace("x = 1", "x = 2"), AssertionError),  # prints something else
        (PAGE.replace('"no"', '"yes"'), AssertionError),  # another message
        (PAGE.replace('raise ValueError("no")', "pass"), AssertionError),  # nothing is raised
        (PAGE.replace("<!-- raises -->\n", ""), ValueError),  # raised, and the page does not say so
        (PAGE.replace("print(x)", "print(z)"), NameError),
        (PAGE.replace("not run: it is only a fragment", "not run"), ValueError),  # without a reason
        (PAGE.replace("x = 1\nprint(x)\n```", "x = 1"), SyntaxError),  # a fence that is closed by the next one
        (PAGE + "\n```python\n", ValueError),  # never closed
    ],
)
def test_a_wrong_page_is_seen(wrong, error):
    with pytest.raises(error):
        run_blocks(Path("page.md"), read_blocks(wrong))
