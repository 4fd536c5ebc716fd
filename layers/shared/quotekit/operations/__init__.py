"""Operations: what keeps the rest healthy."""
