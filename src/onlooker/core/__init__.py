"""The vocabulary and the machinery. Standard library only, and cheap to import.

Nothing is re-exported here: import a name from the module that owns it.
"""
