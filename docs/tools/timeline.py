"""The drawn timeline of the hooks, an SVG made from `core/hooks.py`: what may stand in what is taken from there.

Owns the look. It has a background of its own, so that it can be read on any page, and follows the reader's choice of
light or dark.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from onlooker.core.hooks import HOOKS, SCOPES, Scope

NOTES = {
    "on_train_begin": "once, before the first epoch",
    "on_train_end": "always; logs of the last epoch",
    "on_epoch_begin": "",
    "on_epoch_end": "logs: the epoch's means, tests under val_",
    "on_train_batch_begin": "run.inputs are there",
    "on_train_batch_end": "logs: means so far; logs.batch: its own",
    "on_test_begin": "",
    "on_test_end": "logs: means of the test",
    "on_test_batch_begin": "",
    "on_test_batch_end": "logs: means so far",
    "on_predict_begin": "",
    "on_predict_end": "",
    "on_predict_batch_begin": "",
    "on_predict_batch_end": 'logs["outputs"]',
}
"""What stands beside each hook."""

WORK = {
    "train_batch": "forward, backward, optimizer step",
    "test_batch": "forward",
    "predict_batch": "forward",
}
"""What the host does between the two hooks of a batch."""

LINE, PAD, GAP, INDENT = 25, 7, 8, 14
MARGIN, ARROW, COLUMN_GAP = 20, 26, 28
WIDE, NARROW = 560, 372

STYLE = """\
.paper { fill: #ffffff; stroke: #d0d7de; }
.hook { font: 600 13px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; }
.note, .work, .more, .head { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #59636e; }
.work { font-style: italic; }
.head { font-size: 14px; font-weight: 600; fill: #1f2328; }
.ground { fill: #ffffff; }
.arrow { stroke: #8c959f; fill: none; stroke-width: 1.5; }
.box { stroke-width: 1.2; }
.maybe { stroke-dasharray: 4 3; }
.train .box { fill: #0969da; fill-opacity: .06; stroke: #54aeff; }
.test .box { fill: #bc4c00; fill-opacity: .07; stroke: #fb8f44; }
.predict .box { fill: #1a7f37; fill-opacity: .08; stroke: #4ac26b; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #0d1117; stroke: #3d444d; }
  .ground { fill: #0d1117; }
  .hook, .head { fill: #f0f6fc; }
  .note, .work, .more { fill: #9198a1; }
  .arrow { stroke: #656c76; }
  .train .box { fill: #4493f8; fill-opacity: .10; stroke: #316dca; }
  .test .box { fill: #db6d28; fill-opacity: .12; stroke: #bd561d; }
  .predict .box { fill: #3fb950; fill-opacity: .11; stroke: #2b8a3e; }
}
"""


@dataclass
class Sheet:
    """The shapes so far, and the hooks that were drawn."""

    shapes: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)

    def text(self, kind: str, x: float, y: float, words: str, anchor: str = "start") -> None:
        """Write words whose baseline stands at `y`."""
        self.shapes.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, kind: str, x: float, y: float, width: float, height: float) -> None:
        """Draw the outline of a scope."""
        self.shapes.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6"/>')

    def hook(self, hook: str, index: int | None, x: float, y: float, right: float) -> None:
        """Write one hook with its index, and the note on it."""
        self.hooks.append(hook)
        self.text("hook", x, y + 17, hook if index is None else f"{hook}({index})")
        self.text("note", right, y + 17, NOTES[hook], "end")


def draw_scope(sheet: Sheet, scope: Scope, x: float, y: float, width: float) -> float:
    """Draw a scope with all that it holds; return where it ends."""
    index = None if scope.index is None else 0
    place = len(sheet.shapes)
    top, left, right = y, x + INDENT, x + width - INDENT
    y += PAD
    sheet.hook(scope.begin, index, left, y, right)
    y += LINE
    if scope.name in WORK:
        sheet.text("work", left + INDENT, y + 15, WORK[scope.name])
        y += LINE - 4
    else:
        for name in scope.holds:
            y = draw_held(sheet, scope, SCOPES[name], left, y + GAP / 2, width - 2 * INDENT) + GAP / 2
    sheet.hook(scope.end, index, left, y, right)
    y += LINE + PAD
    _wrap(sheet, place, scope, x, top, width, y - top)
    return y


def draw_held(sheet: Sheet, outer: Scope, scope: Scope, x: float, y: float, width: float) -> float:
    """Draw a scope within another: the first in full, and that there may be more of it."""
    is_full = scope.name != "predict"  # which is the same as where it stands alone
    if is_full:
        y = draw_scope(sheet, scope, x, y, width) + GAP
    words = {
        "epoch": "epoch 1, 2, …",
        "predict": "predict, if the loop asks for it",
        "test": "more tests, if the loop asks for them",
    }.get(scope.name, "batch 1, 2, …")
    place = len(sheet.shapes)
    sheet.text("more", x + INDENT, y + 17, words)
    _wrap(sheet, place, scope, x, y, width, LINE, is_maybe=scope.index is None)
    return y + LINE


def _wrap(
    sheet: Sheet, place: int, scope: Scope, x: float, y: float, width: float, height: float, *, is_maybe: bool = False
) -> None:
    """Put the outline of a scope behind what was drawn in it since `place`, in the colour of its stage."""
    inner, sheet.shapes[place:] = sheet.shapes[place:], [f'<g class="{scope.stage}">']
    if scope.index is None:  # the colours of two stages, one over the other, would be none
        sheet.box("ground", x, y, width, height)
    sheet.box("box maybe" if is_maybe else "box", x, y, width, height)
    sheet.shapes += [*inner, "</g>"]


def draw_timeline() -> str:
    """Return the SVG: a training on the left, the stages that stand alone on the right."""
    sheet = Sheet()
    left, right = MARGIN + ARROW, MARGIN + ARROW + WIDE + COLUMN_GAP
    top = MARGIN + 14
    sheet.text("head", left, top, "a training: Loop.epochs, Trainer.fit, Keras' fit")
    bottom = draw_scope(sheet, SCOPES["train"], left, top + 12, WIDE)
    sheet.text("head", right, top, "a test that stands alone: evaluate")
    y = draw_scope(sheet, SCOPES["test"], right, top + 12, NARROW)
    y += 40
    sheet.text("head", right, y, "a prediction that stands alone: predict")
    y = draw_scope(sheet, SCOPES["predict"], right, y + 12, NARROW)
    for words in (
        f"Within a train batch there may also be a {' or a '.join(SCOPES['train_batch'].holds)}.",
        "A box that was opened is closed, whatever happens in it:",
        "by a stop, an exception or Ctrl-C, from the inside out.",
    ):
        y += 22 if words.startswith("A box") else 18
        sheet.text("note", right, y + 16, words)
    missing = set(HOOKS) - set(sheet.hooks)
    if missing:
        raise AssertionError(f"not in the drawing: {', '.join(sorted(missing))}")
    width, height = right + NARROW + MARGIN, bottom + MARGIN
    arrow = MARGIN + 8
    sheet.shapes.append(
        f'<path class="arrow" d="M{arrow} {top + 14:g}V{bottom - 2:g}m-4 -7l4 7l4 -7"/>'
        f'<text class="note" transform="translate({arrow - 6} {(top + bottom) / 2:g}) rotate(-90)" '
        f'text-anchor="middle">time</text>'
    )
    body = "\n".join(sheet.shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="The fourteen hooks in the order in which they come">\n'
        f"<!-- Made by `python -m docs.tools.generate` from src/onlooker/core/hooks.py: change that, not this. -->\n"
        f"<style>\n{STYLE}</style>\n"
        f'<rect class="paper" x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>\n'
        f"{body}\n</svg>\n"
    )
