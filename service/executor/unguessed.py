"""What keeps the plans of statements about given runs linear."""


def unguessed(condition: str) -> str:
    """The same condition, of whose rarity the planner does not guess anything.

    It takes runs that wait, or are under way, to be few, looks for those first, and compares each of them with each
    that is given: after a burst that is tens of thousands with hundreds. Given ids are what runs are to be found by.
    """
    return f"CASE WHEN {condition} THEN true ELSE false END"
