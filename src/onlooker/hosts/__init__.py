"""The trainers, one for each file or folder: whoever owns the loop and so decides when hooks fire.

Hosts never import each other, but for the trainer, which is built on the loop. What each gives is in `declared`.
"""
