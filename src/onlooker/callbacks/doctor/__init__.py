"""`Doctor`: rules that read summaries and logs while a model trains, and say what looks sick.

- `doctor.py`: the callback: when it looks, and what becomes of what is found.
- `arguments.py`: the checks of what it is given.
- `rule.py`, `spells.py`: what a rule is, and that it speaks once.
- `examination.py`, `alike.py`, `frozen.py`, `running.py`: what rules get to see at one look.
- `rules/`: one small file for each.
- `report.py`: how alerts are shown.
"""

from __future__ import annotations

from .doctor import Doctor as Doctor
from .examination import Examination as Examination
from .rule import Finding as Finding
from .rule import Rule as Rule
from .rules import doctor_rules as doctor_rules

__all__ = ["Doctor", "Examination", "Finding", "Rule", "doctor_rules"]
