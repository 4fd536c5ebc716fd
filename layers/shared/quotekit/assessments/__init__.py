"""What is found at a property, and how that becomes a priced quote."""
