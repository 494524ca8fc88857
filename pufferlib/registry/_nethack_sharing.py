def share_segments(path: str) -> bool:
    return False
