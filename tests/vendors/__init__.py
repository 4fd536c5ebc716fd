"""Outside services as small real HTTP servers that answer late, wrong, twice or never."""
