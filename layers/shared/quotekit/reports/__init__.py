"""What an account's quotes came to, counted from what is committed."""
